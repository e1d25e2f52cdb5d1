/*
 * argument.c
 *		SQL arguments.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "argument.h"

const char *
aep_argument_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

const char *
aep_argument_server(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		aep_argument_missing("server", "It names a foreign server of the wrapper aep.");
	return NameStr(*PG_GETARG_NAME(number));
}

void
aep_argument_missing(const char *name, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("argument \"%s\" must not be null", name),
					hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

void
aep_argument_refused(const char *name, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid value for argument \"%s\"", name), errdetail("%s", detail),
					hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}
