/*
 * platform/pages.h
 *		Lists of base connections: filtered, counted, read page by page.
 *
 * Strings are in the database's encoding; throws like flow_service.h.
 */
#ifndef AEP_PAGES_H
#define AEP_PAGES_H

#include "utils/jsonb.h"

#include "database/server.h"
#include "platform/parse.h"

/* The most rows that a page is documented to have. */
#define AEP_LARGEST_PAGE 100

/* Which connections; NULL: any. */
typedef struct AepConnectionFilter
{
	const char *name;
	const char *state;
	const char *connection_spec_id;
} AepConnectionFilter;

extern int64 aep_flow_count_connections(const AepServer *server, const AepConnectionFilter *filter);

/* Reading a list page by page. */
typedef struct AepPages AepPages;

/* page_size: rows to ask for at once, 1 to 100 */
extern AepPages *aep_flow_list_connections(const AepServer *server,
										   const AepConnectionFilter *filter, int page_size);

/*
 * Reads the next page and has its items taken; false: there is none.  A page that
 * leads to one before it is an error, 08P01.
 */
extern bool aep_flow_next_page(AepPages *pages, AepTakeElement take, void *arg);

extern void aep_flow_end_pages(AepPages *pages);

/*
 * The PostgreSQL connection of that name; NULL if there is none.  Throws 42710
 * if there are several.
 */
extern Jsonb *aep_flow_find_by_name(const AepServer *server, const char *name);

#endif /* AEP_PAGES_H */
