/*
 * database/hidden_statement.c
 *		A statement that may hold a secret, kept out of log and client.
 */
#include "postgres.h"

#include "database/hidden_statement.h"

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
