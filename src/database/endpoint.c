/*
 * database/endpoint.c
 *		This database's host, port and name.
 */
#include "postgres.h"

#include <netdb.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/fmgrprotos.h"
#include "utils/varlena.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/host.h"
#include "http/url.h"

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
	return aep_host_is_loopback(host) ? NULL : host;
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
	return aep_host_is_loopback(only) ? NULL : only;
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

/* The first host that is known; the session's only if it is asked for. */
static void
find_endpoint(const AepServer *server, bool of_session, AepEndpoint *endpoint)
{
	endpoint->port = server->advertised_port != 0 ? server->advertised_port : PostPortNumber;
	endpoint->database = get_database_name(MyDatabaseId);

	endpoint->host_source = "advertised_host";
	endpoint->host = server->advertised_host;
	if (endpoint->host == NULL && of_session)
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

bool
aep_endpoint_is_own(const AepServer *server, const char *host, int port)
{
	AepEndpoint endpoint;

	aep_endpoint_get(server, &endpoint);
	return port == endpoint.port && pg_strcasecmp(host, endpoint.host) == 0;
}

void
aep_endpoint_get(const AepServer *server, AepEndpoint *endpoint)
{
	find_endpoint(server, true, endpoint);
}

void
aep_endpoint_get_lasting(const AepServer *server, AepEndpoint *endpoint)
{
	find_endpoint(server, false, endpoint);
}

void
aep_endpoint_warn_unreachable(const AepServer *server, const char *host)
{
	AepSuspicion suspicion;

	if (aep_endpoint_suspect(server, host, &suspicion))
		aep_suspicion_raise(&suspicion);
}

bool
aep_endpoint_suspect(const AepServer *server, const char *host, AepSuspicion *suspicion)
{
	AepObjection why;
	const char *obstacle;

	suspicion->message =
		psprintf("Experience Platform cannot reach this database at \"%s\"", aep_quotable(host));
	suspicion->why.hint = "Set the server option advertised_host to a public name or address.";
	/* only of what was found, not given */
	if (aep_value_refused(AEP_VALUE_HOST, host, &why))
	{
		suspicion->why.detail = why.detail;
		return true;
	}
	obstacle = aep_host_obstacle(host);
	/* then the platform is a program on this machine */
	if (obstacle == NULL ||
		(aep_host_is_loopback(host) && aep_http_url_is_loopback(server->base_url)))
		return false;
	suspicion->why.detail =
		psprintf("That is %s, and Experience Platform connects from outside.", obstacle);
	return true;
}
