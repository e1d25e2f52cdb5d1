/*
 * database/hidden_statement.h
 *		A statement that may hold a secret, kept out of log and client.
 */
#ifndef AEP_HIDDEN_STATEMENT_H
#define AEP_HIDDEN_STATEMENT_H

/*
 * Keeps the text of the running statement out of the server log, and the
 * context lines of calling functions out of log and client alike, for every
 * message raised until aep_show_statement(): they may hold a secret that was
 * written as an argument.  After an error PostgreSQL itself restores the stack
 * this works on.
 */
typedef struct AepHiddenStatement
{
	ErrorContextCallback callback;
	ErrorContextCallback *outer;
} AepHiddenStatement;

extern void aep_hide_statement(AepHiddenStatement *hidden);
extern void aep_show_statement(AepHiddenStatement *hidden);

/*
 * A secret that was given, of len bytes: if the text of the running statement
 * holds it, PostgreSQL itself does not show that text any more, from now on until
 * the session's next statement: not in pg_stat_activity, and not in the log when
 * the statement fails elsewhere, is part of a deadlock, or the process crashes.
 * Duration messages, auto_explain and pg_stat_statements have copies of their own.
 */
extern void aep_hide_secret(const char *secret, size_t len);

#endif /* AEP_HIDDEN_STATEMENT_H */
