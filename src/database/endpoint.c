/*
 * database/endpoint.c
 *		This database's host, port and name.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/fmgrprotos.h"
#include "utils/varlena.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/endpoint.h"

/* A block of addresses that the public internet does not route. */
typedef struct UnroutedBlock
{
	int family;
	const char *network;
	int prefix_bits;
	const char *kind;
} UnroutedBlock;

/* RFC 6890 and the RFCs it names; the unspecified addresses as well. */
static const UnroutedBlock unrouted_blocks[] = {
	{AF_INET, "127.0.0.0", 8, "a loopback address"},
	{AF_INET, "0.0.0.0", 8, "not an address of a single host"},
	{AF_INET, "10.0.0.0", 8, "a private address"},
	{AF_INET, "172.16.0.0", 12, "a private address"},
	{AF_INET, "192.168.0.0", 16, "a private address"},
	{AF_INET, "100.64.0.0", 10, "a private address"},
	{AF_INET, "169.254.0.0", 16, "a link-local address"},
	{AF_INET6, "::1", 128, "a loopback address"},
	{AF_INET6, "::", 128, "not an address of a single host"},
	{AF_INET6, "fc00::", 7, "a private address"},
	{AF_INET6, "fe80::", 10, "a link-local address"},
};

#define LOOPBACK_KIND "a loopback address"

static bool
same_prefix(const unsigned char *a, const unsigned char *b, int bits)
{
	int rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || (a[bits / 8] >> (8 - rest)) == (b[bits / 8] >> (8 - rest));
}

/* What keeps others from reaching the host, as a fragment; NULL: nothing known. */
static const char *
unreachable_kind(const char *host)
{
	static const unsigned char mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
	unsigned char address[sizeof(struct in6_addr)];
	unsigned char network[sizeof(struct in6_addr)];
	int family = AF_INET6;

	if (inet_pton(AF_INET, host, address) == 1)
		family = AF_INET;
	else if (inet_pton(AF_INET6, host, address) != 1)
	{
		if (pg_strcasecmp(host, "localhost") == 0)
			return LOOPBACK_KIND;
		return strchr(host, '.') == NULL ? "a name without a domain" : NULL;
	}
	else if (memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0)
	{
		memmove(address, address + sizeof(mapped_prefix), 4); /* ::ffff:10.0.0.1 */
		family = AF_INET;
	}

	for (int i = 0; i < lengthof(unrouted_blocks); i++)
	{
		const UnroutedBlock *block = &unrouted_blocks[i];

		if (block->family == family && inet_pton(family, block->network, network) == 1 &&
			same_prefix(address, network, block->prefix_bits))
			return block->kind;
	}
	return NULL;
}

static bool
is_loopback(const char *host)
{
	const char *kind = unreachable_kind(host);

	return kind != NULL && strcmp(kind, LOOPBACK_KIND) == 0;
}

/*
 * The server's address in this session, if it came over TCP and not loopback.
 * inet_server_addr() knows it; it is NULL over a Unix socket and where there
 * is no client, as in a background worker.
 */
static const char *
session_host(void)
{
	LOCAL_FCINFO(call, 0);
	Datum address;
	const char *host;

	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	address = inet_server_addr(call);
	if (call->isnull)
		return NULL;
	host = DatumGetCString(DirectFunctionCall1(inet_out, address));
	return is_loopback(host) ? NULL : host;
}

/* The address of listen_addresses, if that is a single concrete one. */
static const char *
listen_host(void)
{
	List *addresses;
	const char *only;
	char *copy = pstrdup(ListenAddresses);

	if (!SplitGUCList(copy, ',', &addresses) || list_length(addresses) != 1)
		return NULL;
	only = linitial(addresses);
	if (strcmp(only, "*") == 0 || strcmp(only, "0.0.0.0") == 0 || strcmp(only, "::") == 0)
		return NULL;
	return is_loopback(only) ? NULL : only;
}

static const char *
machine_host(void)
{
	char host[NI_MAXHOST];

	if (gethostname(host, sizeof(host)) != 0)
		ereport(ERROR, (errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not get the host name: %m"),
						errhint("Set the server option advertised_host.")));
	host[sizeof(host) - 1] = '\0';
	return pstrdup(host);
}

void
aep_endpoint_get(const AepServer *server, AepEndpoint *endpoint)
{
	endpoint->port = server->advertised_port != 0 ? server->advertised_port : PostPortNumber;
	endpoint->database = get_database_name(MyDatabaseId);

	endpoint->host_source = "advertised_host";
	endpoint->host = server->advertised_host;
	if (endpoint->host == NULL)
	{
		endpoint->host_source = "session";
		endpoint->host = session_host();
	}
	if (endpoint->host == NULL)
	{
		endpoint->host_source = "listen_addresses";
		endpoint->host = listen_host();
	}
	if (endpoint->host == NULL)
	{
		endpoint->host_source = "hostname";
		endpoint->host = machine_host();
	}
}

void
aep_endpoint_warn_unreachable(const char *host)
{
	const char *kind = unreachable_kind(host);

	if (kind != NULL)
		ereport(WARNING,
				(errmsg("Experience Platform cannot reach this database at \"%s\"",
						aep_for_client(host)),
				 errdetail("That is %s, and Experience Platform connects from outside.", kind),
				 errhint("Set the server option advertised_host to a public name or address.")));
}

const char *
aep_endpoint_host_refusal(const char *host)
{
	struct in6_addr ipv6;

	if (host[0] == '\0')
		return "It must not be empty.";
	for (const char *c = host; *c != '\0'; c++)
	{
		if ((unsigned char) *c <= ' ' || *c == 0x7f)
			return "It must not hold blanks or control characters.";
	}
	if (strstr(host, "://") != NULL)
		return "It must be a host name or address, not a URL.";
	if (strpbrk(host, "/@?#") != NULL)
		return "It must be a host name or address, nothing more.";
	if (strpbrk(host, "[]:") != NULL && inet_pton(AF_INET6, host, &ipv6) != 1)
		return "It must be a host name or address, an IPv6 one without brackets, and no port.";
	return NULL;
}
