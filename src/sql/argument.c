/*
 * sql/argument.c
 *		SQL arguments.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "sql/argument.h"

const char *
aep_argument_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

const char *
aep_argument_uuid(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number)
			   ? NULL
			   : DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(number)));
}

const char *
aep_argument_text_required(FunctionCallInfo fcinfo, int number, const char *name)
{
	const char *value = aep_argument_text(fcinfo, number);

	if (value == NULL)
		aep_argument_missing(name, NULL);
	return value;
}

const char *
aep_argument_uuid_required(FunctionCallInfo fcinfo, int number, const char *name)
{
	const char *value = aep_argument_uuid(fcinfo, number);

	if (value == NULL)
		aep_argument_missing(name, NULL);
	return value;
}

const char *
aep_argument_server(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		aep_argument_missing("server", "It names a foreign server of the wrapper aep.");
	return NameStr(*PG_GETARG_NAME(number));
}

void
aep_argument_absence(const char *name, const char *hint, AepError *error)
{
	*error = (AepError){
		.sqlstate = ERRCODE_NULL_VALUE_NOT_ALLOWED,
		.message = psprintf("argument \"%s\" must not be null", name),
		.hint = hint,
	};
}

void
aep_argument_refusal(const char *name, const char *detail, const char *hint, AepError *error)
{
	*error = (AepError){
		.sqlstate = ERRCODE_INVALID_PARAMETER_VALUE,
		.message = psprintf("invalid value for argument \"%s\"", name),
		.detail = detail,
		.hint = hint,
	};
}

void
aep_argument_missing(const char *name, const char *hint)
{
	AepError error;

	aep_argument_absence(name, hint, &error);
	aep_error_raise(&error);
}

void
aep_argument_refused(const char *name, const char *detail, const char *hint)
{
	AepError error;

	aep_argument_refusal(name, detail, hint, &error);
	aep_error_raise(&error);
}

void
aep_argument_check(const char *name, AepValueKind kind, const char *value)
{
	AepObjection why;

	if (aep_value_refused(kind, value, &why))
		aep_argument_refused(name, why.detail, why.hint);
}
