/*
 * platform/explore.c
 *		What Experience Platform sees through a base connection.
 */
#include "postgres.h"

#include "database/encoding.h"
#include "platform/call.h"
#include "platform/document.h"
#include "platform/explore.h"

/* What a table is called that is no view. */
#define TABLE "table"

/* What is asked for, and what is made of the answer. */
typedef struct Exploration
{
	AepHttpParameter query[3];
	int nquery;
	bool (*is_right)(JsonbContainer *answer);
	AepList list;
} Exploration;

/* False: *error says why there is nothing to see. */
static bool
explore(const AepServer *server, const char *id, const Exploration *wanted, AepError *error)
{
	AepCall *call = aep_call_begin(server, "GET", psprintf(AEP_CONNECTIONS_PATH "/%s/explore", id),
								   "explore base connection");
	const char *why = "is not what exploring gives";
	Jsonb *answer;
	bool result;

	call->query = wanted->query;
	call->nquery = wanted->nquery;
	call->context.reaches_database = true;
	aep_call_wait(call);
	result = aep_call_succeeded(call, error);
	if (result)
	{
		answer = aep_document_parse(call->exchange, &wanted->list, &why);
		result = answer != NULL && wanted->is_right(&answer->root);
		if (!result)
			aep_error_not_understood(&call->context, call->exchange, why, error);
	}
	aep_call_end(call);
	return result;
}

static bool
is_table_list(JsonbContainer *answer)
{
	return JsonContainerIsArray(answer) && !JsonContainerIsScalar(answer);
}

static bool
is_table(JsonbContainer *answer)
{
	return aep_document_member(aep_document_member(answer, "schema"), "columns") != NULL;
}

/* Facts: the answer is the list of tables, and there is only one page. */
static bool
explore_root(const AepServer *server, const char *id, AepTakeElement take, void *arg,
			 AepError *error)
{
	static const char *const path[] = {NULL};
	const Exploration wanted = {
		.query = {{.name = "objectType", .value = "root"}},
		.nquery = 1,
		.is_right = is_table_list,
		.list = {.path = path, .take = take, .arg = arg},
	};

	return explore(server, id, &wanted, error);
}

static bool
explore_table(const AepServer *server, const char *id, const char *path, const char *object_type,
			  AepTablePart part, AepTakeElement take, void *arg, AepError *error)
{
	static const char *const columns[] = {"schema", "columns", NULL};
	static const char *const rows[] = {"data", NULL};
	const Exploration wanted = {
		.query = {{.name = "objectType",
				   .value = aep_to_utf8(object_type, "argument \"object_type\"")},
				  {.name = "object", .value = aep_to_utf8(path, "argument \"path\"")},
				  {.name = "preview", .value = "true"}}, /* last: only when asked for */
		.nquery = part == AEP_TABLE_ROWS ? 3 : 2,
		.is_right = is_table,
		.list = {.path = part == AEP_TABLE_ROWS ? rows : columns, .take = take, .arg = arg},
	};

	return explore(server, id, &wanted, error);
}

void
aep_explore_connection(const AepServer *server, const char *id, AepTakeElement take, void *arg)
{
	AepError error;

	if (!explore_root(server, id, take, arg, &error))
		aep_error_raise(&error);
}

/* Looks in the list of tables for what a path is called. */
typedef struct TypeSearch
{
	const char *path;
	char *type; /* NULL: not found */
	MemoryContext memory;
} TypeSearch;

static void
look_at_table(Jsonb *table, void *arg)
{
	TypeSearch *search = arg;
	const char *path = table != NULL ? aep_document_text(&table->root, "path") : NULL;
	const char *type;

	if (path == NULL || strcmp(path, search->path) != 0)
		return;
	type = aep_document_text(&table->root, "type");
	if (type != NULL && search->type == NULL)
		search->type = MemoryContextStrdup(search->memory, type);
}

/* Facts: there are connectors for which a view is no table, and must be asked for as a view. */
static const char *
find_other_type(const AepServer *server, const char *id, const char *path)
{
	TypeSearch search = {.path = path, .memory = CurrentMemoryContext};
	AepError ignored; /* the one at hand is worth more */

	if (!explore_root(server, id, look_at_table, &search, &ignored) || search.type == NULL ||
		pg_strcasecmp(search.type, TABLE) == 0)
		return NULL;
	return search.type;
}

void
aep_explore_table_part(const AepServer *server, const char *id, const char *path,
					   const char *object_type, AepTablePart part, AepTakeElement take, void *arg)
{
	const char *type = object_type != NULL ? object_type : TABLE;
	AepError error;

	if (explore_table(server, id, path, type, part, take, arg, &error))
		return;
	if (object_type == NULL && error.sqlstate == ERRCODE_INVALID_PARAMETER_VALUE)
	{
		type = find_other_type(server, id, path);
		if (type != NULL && explore_table(server, id, path, type, part, take, arg, &error))
			return;
	}
	aep_error_raise(&error);
}
