/*
 * database/hidden_statement.c
 *		A statement that may hold a secret, kept out of log and client.
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"

#include "database/hidden_statement.h"

/* What is shown instead. */
static const char shown_text[] = "<hidden by aep: a statement with a secret>";

/* Bytes of one statement's text that are searched for secrets; then it counts as one that has some. */
#define MAX_SEARCHED (64 * 1024 * 1024)

static void
hide_statement_callback(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

void
aep_hide_statement(AepHiddenStatement *hidden)
{
	hidden->outer = error_context_stack;
	hidden->callback.callback = hide_statement_callback;
	hidden->callback.arg = NULL;

	/*
	 * Not linked to the outer callbacks: PL/pgSQL's would add the statement
	 * with its literals to the CONTEXT that the client sees.
	 */
	hidden->callback.previous = NULL;
	error_context_stack = &hidden->callback;
}

void
aep_show_statement(AepHiddenStatement *hidden)
{
	error_context_stack = hidden->outer;
}

/* Literals write quotes and backslashes twice, and may write any character as an escape. */
static bool
may_hold(const char *statement, size_t statement_len, const char *secret, size_t len)
{
	return memmem(statement, statement_len, secret, len) != NULL ||
		   memchr(statement, '\\', statement_len) != NULL ||
		   (memchr(secret, '\'', len) != NULL && memchr(statement, '\'', statement_len) != NULL);
}

void
aep_hide_secret(const char *secret, size_t len)
{
	static TimestampTz statement = 0; /* when the one began that was searched last */
	static size_t searched = 0;
	size_t statement_len;
	int64 query_id;

	if (debug_query_string == NULL || debug_query_string == shown_text || len == 0)
		return;
	if (statement != GetCurrentStatementStartTimestamp())
	{
		statement = GetCurrentStatementStartTimestamp();
		searched = 0;
	}
	statement_len = strlen(debug_query_string);
	searched += statement_len;
	if (searched < MAX_SEARCHED && !may_hold(debug_query_string, statement_len, secret, len))
		return;

	/* the next statement sets both anew */
	debug_query_string = shown_text;
	query_id = (int64) pgstat_get_my_query_id();
	pgstat_report_activity(STATE_RUNNING, shown_text);
	pgstat_report_query_id(query_id, true);
}
