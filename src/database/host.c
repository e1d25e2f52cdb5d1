/*
 * database/host.c
 *		Hosts as text: what can be one, and whether others can reach it.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "database/host.h"

/* RFC 1035: of a name with its dots, and of a part of it */
#define MAX_HOST_LENGTH 253
#define MAX_LABEL_LENGTH 63

/* A block of addresses that the public internet does not route. */
typedef struct UnroutedBlock
{
	int family;
	const char *network;
	int prefix_bits;
	const char *kind;
} UnroutedBlock;

#define LOOPBACK_KIND "a loopback address"
#define NO_HOST_KIND "not an address of a single host"

/* RFC 6890 and the RFCs it names; the unspecified addresses and multicast as well. */
static const UnroutedBlock unrouted_blocks[] = {
	{AF_INET, "127.0.0.0", 8, LOOPBACK_KIND},
	{AF_INET, "0.0.0.0", 8, NO_HOST_KIND},
	{AF_INET, "224.0.0.0", 3, NO_HOST_KIND},
	{AF_INET, "10.0.0.0", 8, "a private address"},
	{AF_INET, "172.16.0.0", 12, "a private address"},
	{AF_INET, "192.168.0.0", 16, "a private address"},
	{AF_INET, "100.64.0.0", 10, "a private address"},
	{AF_INET, "192.0.0.0", 24, "a private address"},
	{AF_INET, "198.18.0.0", 15, "a private address"},
	{AF_INET, "169.254.0.0", 16, "a link-local address"},
	{AF_INET6, "::1", 128, LOOPBACK_KIND},
	{AF_INET6, "::", 96, NO_HOST_KIND},
	{AF_INET6, "ff00::", 8, NO_HOST_KIND},
	{AF_INET6, "fc00::", 7, "a private address"},
	{AF_INET6, "fec0::", 10, "a private address"},
	{AF_INET6, "fe80::", 10, "a link-local address"},
};

/*
 * Names that no public name server knows.  RFC 6761 and 8375, ICANN's list of
 * what is never to be delegated, and what Kubernetes and routers use.
 */
static const char *const private_domains[] = {
	"local",  "internal", "intranet", "private", "lan", "home",		 "corp",  "localdomain",
	"domain", "test",	  "invalid",  "example", "svc", "home.arpa", "onion", "mail",
};

/* The host without the dot that may end a name. */
static size_t
length_of_name(const char *host)
{
	size_t len = strlen(host);

	return len > 0 && host[len - 1] == '.' ? len - 1 : len;
}

/* Is the host a domain, or a name in it? */
static bool
is_in_domain(const char *host, const char *domain)
{
	size_t len = length_of_name(host);
	size_t size = strlen(domain);

	return len >= size && pg_strncasecmp(host + len - size, domain, size) == 0 &&
		   (len == size || host[len - size - 1] == '.');
}

static bool
same_prefix(const unsigned char *a, const unsigned char *b, int bits)
{
	int rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || (a[bits / 8] >> (8 - rest)) == (b[bits / 8] >> (8 - rest));
}

static bool
is_mapped(const unsigned char *address)
{
	static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, prefix, sizeof(prefix)) == 0;
}

/* The bytes of an address; 0: it is none. */
static int
read_address(const char *host, unsigned char *address)
{
	if (inet_pton(AF_INET, host, address) == 1)
		return AF_INET;
	if (inet_pton(AF_INET6, host, address) != 1)
		return 0;
	if (!is_mapped(address))
		return AF_INET6;
	memmove(address, address + 12, 4); /* ::ffff:10.0.0.1, as listen_addresses may have it */
	return AF_INET;
}

const char *
aep_host_obstacle(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	unsigned char network[sizeof(struct in6_addr)];
	int family = read_address(host, address);

	for (int i = 0; i < lengthof(unrouted_blocks); i++)
	{
		const UnroutedBlock *block = &unrouted_blocks[i];

		if (block->family == family && inet_pton(family, block->network, network) == 1 &&
			same_prefix(address, network, block->prefix_bits))
			return block->kind;
	}
	if (family != 0)
		return NULL;
	if (is_in_domain(host, "localhost"))
		return LOOPBACK_KIND;
	for (int i = 0; i < lengthof(private_domains); i++)
	{
		if (is_in_domain(host, private_domains[i]))
			return "a name that no public name server knows";
	}
	return memchr(host, '.', length_of_name(host)) == NULL ? "a name without a domain" : NULL;
}

bool
aep_host_is_loopback(const char *host)
{
	const char *obstacle = aep_host_obstacle(host);

	return obstacle != NULL && strcmp(obstacle, LOOPBACK_KIND) == 0;
}

static bool
refuse(const char **detail, const char **hint, const char *why, const char *remedy)
{
	*detail = why;
	*hint = remedy;
	return true;
}

/*
 * Readers of addresses that take the forms of the C library read 127.1, 0177.0.0.1,
 * 2130706433 and 0x7f.1 as 127.0.0.1; others as names, or decimal what is octal.
 */
static bool
ends_in_number(const char *host)
{
	size_t len = length_of_name(host);
	size_t start = len;

	while (start > 0 && host[start - 1] != '.')
		start--;
	if (pg_strncasecmp(host + start, "0x", 2) == 0)
		return strspn(host + start + 2, "0123456789abcdefABCDEF") >= len - start - 2;
	return start < len && strspn(host + start, "0123456789") >= len - start;
}

static bool
ipv6_refused(const char *host, const char **detail, const char **hint)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (strchr(host, '%') != NULL)
		return refuse(detail, hint, "It holds a zone id, which only this machine understands.",
					  NULL);
	if (inet_pton(AF_INET6, host, address) != 1)
		return refuse(
			detail, hint,
			"It must be a host name or address, an IPv6 one without brackets, and no port.", NULL);
	return is_mapped(address) &&
		   refuse(detail, hint, "It is an IPv4 address in the form of an IPv6 one.",
				  "Write the IPv4 address, as in 203.0.113.7.");
}

/* Whether the parts between the dots are too long, or empty. */
static bool
has_bad_label(const char *host)
{
	size_t len = length_of_name(host);
	size_t label = 0;

	for (size_t i = 0; i < len; i++)
	{
		label = host[i] == '.' ? 0 : label + 1;
		if (label > MAX_LABEL_LENGTH || (label == 0 && (i == 0 || host[i - 1] == '.')))
			return true;
	}
	return label == 0;
}

bool
aep_host_refused(const char *host, const char **detail, const char **hint)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	unsigned char address[sizeof(struct in6_addr)];
	size_t len = strlen(host);

	for (const char *c = host; *c != '\0'; c++)
	{
		if ((unsigned char) *c <= ' ' || *c == 0x7f)
			return refuse(detail, hint, "It must not hold blanks or control characters.", NULL);
		if (IS_HIGHBIT_SET(*c))
			return refuse(detail, hint, "It must consist of ASCII characters.",
						  "Look for what was copied along with it. An international name has an "
						  "ASCII form, which begins with \"xn--\".");
	}
	if (strstr(host, "://") != NULL)
		return refuse(detail, hint, "It must be a host name or address, not a URL.", NULL);
	if (len > MAX_HOST_LENGTH)
		return refuse(detail, hint, "It must not have more than 253 characters.", NULL);
	if (strpbrk(host, "[]:") != NULL)
		return ipv6_refused(host, detail, hint);
	if (strspn(host, allowed) < len)
		return refuse(detail, hint, "It must be a host name or address, nothing more.", NULL);
	if (ends_in_number(host) && inet_pton(AF_INET, host, address) != 1)
		return refuse(detail, hint,
					  "It looks like an IPv4 address, and is not one of four decimal numbers.",
					  "Write the address as in 203.0.113.7.");
	return has_bad_label(host) &&
		   refuse(detail, hint, "Parts of a name have 1 to 63 characters, with a dot in between.",
				  NULL);
}
