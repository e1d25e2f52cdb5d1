/*
 * database/query.h
 *		Queries that stand in SQL files of the sources.
 *
 * The build makes an initializer of AepQuery of each file (scripts/embed-sql.awk),
 * for a C file to include once it has said where the values of the parameters
 * are: in a struct that has a member of type const char * for each.  A parameter
 * that it does not have stops the compiler.
 *
 *		#define PARAMETER(name) offsetof(Parameters, name)
 *		static const AepQuery checks[] = {
 *		#include "ingest/checks.inc"
 *		};
 */
#ifndef AEP_QUERY_H
#define AEP_QUERY_H

typedef struct AepQuery
{
	const char *name;  /* the file's, without its number */
	const char *needs; /* a function that not everybody may call; NULL: none */
	const char *text;
	int parameter_count;
	const size_t *parameters; /* of $1 and so on: the offsets of the values */
} AepQuery;

/*
 * Runs a query as the caller, with a pinned search path and what the caller's
 * statement sees.  Its rows are in SPI_tuptable then, SPI_processed of them;
 * needs SPI, whose memory context is the current one afterwards.  All parameters
 * are text.  One that is NULL is passed as '', so that the query gets nothing
 * from here that it could not get from psql.
 */
extern void aep_query_run(const AepQuery *query, const void *parameters);

#endif /* AEP_QUERY_H */
