/*
 * database/installation.c
 *		Which installation something belongs to.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"

#include "database/endpoint.h"
#include "database/installation.h"

void
aep_installation_get(const AepServer *server, AepInstallation *here)
{
	*here = (AepInstallation){
		.system_identifier = GetSystemIdentifier(),
		.database = MyDatabaseId,
	};
	if (server != NULL)
	{
		AepEndpoint endpoint;

		aep_endpoint_get_lasting(server, &endpoint);
		here->host = endpoint.host;
		here->port = endpoint.port;
		here->database_name = endpoint.database;
	}
}

/* Whatever stands in a table may have been edited: a part can be there without the other. */
static bool
same_address(const AepInstallation *bound, const AepInstallation *here)
{
	if (bound->host == NULL || bound->database_name == NULL || here->host == NULL)
		return true;
	return pg_strcasecmp(bound->host, here->host) == 0 && bound->port == here->port &&
		   strcmp(bound->database_name, here->database_name) == 0;
}

AepBinding
aep_installation_compare(const AepInstallation *bound, const AepInstallation *here)
{
	if (bound->system_identifier == 0)
		return AEP_BOUND_NOWHERE;
	if (bound->system_identifier != here->system_identifier || bound->database != here->database)
		return AEP_BOUND_ELSEWHERE;
	return same_address(bound, here) ? AEP_BOUND_HERE : AEP_BOUND_TO_ADDRESS;
}

const char *
aep_installation_binding_name(AepBinding binding)
{
	static const char *const names[] = {
		[AEP_BOUND_HERE] = "here",
		[AEP_BOUND_ELSEWHERE] = "elsewhere",
		[AEP_BOUND_TO_ADDRESS] = "moved",
		[AEP_BOUND_NOWHERE] = "unconfirmed",
	};

	return names[binding];
}

/* What is wrong, as a sentence; never called for what is bound here. */
static const char *
describe(AepBinding binding, const AepInstallation *bound, const AepInstallation *here)
{
	if (binding == AEP_BOUND_NOWHERE)
		return "It comes from a dump of a version before 2.0, which did not note whose it was.";
	if (binding == AEP_BOUND_TO_ADDRESS)
		return psprintf("It belongs to database \"%s\" at %s, port %d, and this one is database "
						"\"%s\" at %s, port %d.",
						bound->database_name, bound->host, bound->port, here->database_name,
						here->host, here->port);
	return psprintf("It belongs to database %u of cluster " UINT64_FORMAT
					", and this is database %u of cluster " UINT64_FORMAT
					": a copy, a restore, or the result of pg_upgrade.",
					bound->database, bound->system_identifier, here->database,
					here->system_identifier);
}

void
aep_installation_require(const AepInstallation *bound, const AepInstallation *here,
						 const char *what, const char *adopt, const char *forget)
{
	AepBinding binding = aep_installation_compare(bound, here);

	if (binding == AEP_BOUND_HERE)
		return;
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("%s is not bound to this database", what),
					errdetail_internal("%s", describe(binding, bound, here)),
					errhint("If this database takes the place of the other one, use %s; if it "
							"stands beside it, use %s. doc/copies.md says more.",
							adopt, forget)));
}
