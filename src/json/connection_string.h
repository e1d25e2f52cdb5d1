/*
 * json/connection_string.h
 *		What depends on the spelling of a PostgreSQL connection string for
 *		Experience Platform: the keywords, the TLS suffix, and which values can
 *		stand in one.
 *
 * Plain C; nothing here allocates except through AepBuffer.
 */
#ifndef AEP_CONNECTION_STRING_H
#define AEP_CONNECTION_STRING_H

#include "json/buffer.h"
#include "json/payload.h"

/*
 * Experience Platform's word for an SSL mode: "Disable", "Allow", "Prefer",
 * "Require", "Verify Ca" or "Verify Full".  Takes those and libpq's spellings
 * ("verify-full"), letter case and the separators blank, '-' and '_' aside.
 * Returns a constant, or NULL for anything else.
 */
extern const char *aep_ssl_mode(const char *text);

/* The accepted words as a list for a hint. */
extern const char *aep_ssl_mode_list(void);

/*
 * NULL if the value can stand in a connection string, else why not, as a
 * sentence fragment that completes "The value ..." and never repeats it.
 *
 * How the reader at the other end quotes is not documented, and the likely
 * grammars (ODBC braces, ADO.NET quotes) contradict each other; so only what
 * both read alike without quotes passes: not empty, no ';', no control
 * character, no blank at either edge, first character none of " ' = {.
 */
extern const char *aep_connection_string_refusal(const char *value);

/*
 * Appends Server=..;Database=..;Port=..;UID=..;Password=.. and, when ssl_mode is not
 * NULL, ;EncryptionMethod=..;ValidateServerCertificate=.. to out.  The caller
 * has checked the values.  False: out of memory.
 */
extern bool aep_connection_string(const AepBaseConnection *connection, AepBuffer *out);

#endif /* AEP_CONNECTION_STRING_H */
