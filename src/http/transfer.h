/*
 * http/transfer.h
 *		libcurl's part of an exchange, as http.c and the files that it is made of
 *		see it: the callbacks take notes in it, outcome.c reads them.
 */
#ifndef AEP_TRANSFER_H
#define AEP_TRANSFER_H

#include <curl/curl.h>

#include "lib/ilist.h"
#include "utils/palloc.h"

#include "http/head.h"
#include "http/http.h"
#include "http/setup.h"

typedef struct AepHttpTransfer
{
	AepHttpExchange exchange; /* first: the caller's pointer */
	MemoryContext context;
	MemoryContextCallback release;
	dlist_node node; /* in "transfers" */
	CURL *easy;		 /* NULL: given back */
	struct curl_slist *headers;
	AepHttpRequest request; /* without headers and URL: libcurl has those */
	AepRoute route;
	int64 resume_at; /* aep_http_now() time; -1: not pausing */
	AepHead head;
	const void *connection; /* that it went out on, for aep_tls_flooded() */
	bool too_large;
	bool no_memory;
	bool unclean; /* the connection was: it did not leave */
	char error[CURL_ERROR_SIZE];
} AepHttpTransfer;

/* Whether the attempt under way may have reached the service. */
static inline bool
aep_transfer_has_left(const AepHttpTransfer *transfer)
{
	return transfer->exchange.fate.last != AEP_FATE_NOTHING;
}

/* The owner of the fate may look at any time, also when this exchange is gone. */
static inline void
aep_transfer_tell_fate(const AepHttpTransfer *transfer)
{
	if (transfer->request.fate != NULL)
		*transfer->request.fate = transfer->exchange.fate;
}

/* Has libcurl call back for a transfer.  Throws for want of memory. */
extern void aep_transfer_set_callbacks(AepHttpTransfer *transfer);

/* Notes how an attempt ended that libcurl has finished with this code. */
extern void aep_transfer_finish(AepHttpTransfer *transfer, CURLcode code);

#endif /* AEP_TRANSFER_H */
