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

#endif /* AEP_HIDDEN_STATEMENT_H */
