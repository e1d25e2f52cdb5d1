/*
 * platform/explore.h
 *		What Experience Platform sees through a base connection: GET
 *		/connections/{id}/explore.
 *
 * Strings are in the database's encoding; throws like flow_service.h.
 */
#ifndef AEP_EXPLORE_H
#define AEP_EXPLORE_H

#include "database/server.h"
#include "platform/parse.h"

/* Takes its tables and views, one at a time. */
extern void aep_explore_connection(const AepServer *server, const char *id, AepTakeElement take,
								   void *arg);

/* What of a table is wanted. */
typedef enum AepTablePart
{
	AEP_TABLE_COLUMNS,
	AEP_TABLE_ROWS /* the first of them */
} AepTablePart;

/*
 * Takes a part of a table.  object_type: what the list of tables calls it, such as
 * "view".  NULL: a table, or if there is no such table what the list calls it.
 */
extern void aep_explore_table_part(const AepServer *server, const char *id, const char *path,
								   const char *object_type, AepTablePart part, AepTakeElement take,
								   void *arg);

#endif /* AEP_EXPLORE_H */
