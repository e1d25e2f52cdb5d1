/*
 * http/http.h
 *		HTTP requests from inside a backend: one or many at once, cancellable in
 *		every phase, on connections that stay open between calls.
 *
 * Nothing here knows of catalogs or of Flow Service.  An exchange never throws
 * because of the network: how it ended is in its result, and error.h tells the
 * user.
 */
#ifndef AEP_HTTP_H
#define AEP_HTTP_H

#include "http/fate.h"
#include "json/buffer.h"

typedef struct AepHttpHeader
{
	const char *name;
	const char *value;
} AepHttpHeader;

/* How long and how much; all of it comes from the foreign server's options. */
typedef struct AepHttpLimits
{
	int connect_timeout;   /* ms: name look-up, TCP and TLS */
	int request_timeout;   /* ms: everything, retries and their pauses too */
	int max_attempts;	   /* the first included */
	int max_response_size; /* bytes of body, unpacked */
	const char *ca_file;   /* NULL: the system's trust store */
	const char *proxy;	   /* NULL: none */
} AepHttpLimits;

/* Which failures allow to send a request again. */
typedef enum AepHttpRepeat
{
	AEP_HTTP_REPEAT_UNPROCESSED, /* those after which nothing can have happened: POST */
	AEP_HTTP_REPEAT_HARMLESS	 /* any that may pass: repeating does no harm */
} AepHttpRepeat;

typedef struct AepHttpRequest
{
	const char *method; /* a constant */
	const char *url;
	const AepHttpHeader *headers;
	int nheaders;
	const char *body; /* NULL: none; must outlive the exchange */
	size_t body_len;
	const AepHttpLimits *limits;
	AepHttpRepeat repeat;
	int64 deadline; /* aep_http_now() time at which all attempts must have ended */
	AepFate *fate;	/* goes on from here, and is kept up to date; NULL: a request of its own */
	bool in_batch;	/* one of many: rather wait for a stream than open a connection */
} AepHttpRequest;

typedef enum AepHttpOutcome
{
	AEP_HTTP_PENDING,
	AEP_HTTP_COMPLETE,		/* a whole answer, whatever its status */
	AEP_HTTP_NOT_CONNECTED, /* name look-up, connect or TLS: nothing was sent */
	AEP_HTTP_BROKEN,		/* broke or timed out after that */
	AEP_HTTP_TOO_LARGE,		/* the body passed max_response_size, or what came in twice that */
	AEP_HTTP_REFUSED,		/* what its headers say is not taken: see refusal */
	AEP_HTTP_OUT_OF_MEMORY
} AepHttpOutcome;

/* What was in the way of a connection, as far as that is worth knowing. */
typedef enum AepHttpObstacle
{
	AEP_HTTP_NO_OBSTACLE, /* none, or another one */
	AEP_HTTP_NO_NAME,	  /* the host's name is not known */
	AEP_HTTP_NO_PROXY,	  /* the proxy, or what it says */
	AEP_HTTP_BAD_CERTIFICATE,
	AEP_HTTP_BAD_CA_FILE
} AepHttpObstacle;

typedef struct AepHttpExchange
{
	/* result, valid once the outcome is not AEP_HTTP_PENDING */
	AepHttpOutcome outcome;
	int status;	  /* HTTP status; 0: no answer began */
	AepFate fate; /* of what was asked for */
	AepHttpObstacle obstacle;
	bool transient; /* not connected, for a reason that may pass */
	int attempts;
	int64 retry_after;		   /* seconds the service asks to wait; 0: it does not say */
	bool retry_after_too_long; /* longer than the time that was left */
	AepBuffer body;			   /* as far as it came, unpacked */
	size_t max_size;		   /* that the body may have: max_response_size */
	const char *reason;		   /* libcurl's own words when not complete */
	const char *refusal;	   /* why we gave up: completes "The answer ..."; NULL: we did not */

	struct AepHttpTransfer *transfer; /* http.c's own */
} AepHttpExchange;

/*
 * What libcurl needs once for each process, never before a fork.  The first
 * request does it, if nobody has.  Throws XX000 if libcurl refuses.
 */
extern void aep_http_initialize(void);

/* Milliseconds of a clock that never jumps. */
extern int64 aep_http_now(void);

/*
 * Starts a request.  The exchange, its handle and its body live in a memory
 * context of their own below the current one; whatever way that context ends
 * (aep_http_end, the caller's context reset after an error), the connection
 * and all memory are given back, secrets wiped.  request->url and the headers
 * are copied, the body and the limits are not.  Throws for want of memory, and
 * 54000 if URL and headers are too long.
 * The abort of a (sub)transaction ends it too, before any memory is freed: as
 * AEP_HTTP_BROKEN, if it was pending.
 */
extern AepHttpExchange *aep_http_start(const AepHttpRequest *request);

/*
 * One step of the work of all exchanges: waits until something happens, at
 * most max_ms milliseconds (-1: no limit; 0: looks whether something has).  True
 * if an exchange came to its end.  Throws nothing but what serving interrupts
 * throws, and for an event loop of libcurl's that fails.
 */
extern bool aep_http_step(long max_ms);

/*
 * aep_http_now() time until which the service asked for fewer requests; in the
 * past if it did not.
 */
extern int64 aep_http_throttled_until(void);

/* What an earlier call was told is not about the requests that follow. */
extern void aep_http_forget_throttle(void);

/* Calls visit for each response header, in their order; both valid only then. */
extern void aep_http_each_header(AepHttpExchange *exchange,
								 void (*visit)(const char *name, const char *value, void *arg),
								 void *arg);

/* The value of a response header, or NULL; valid as long as the exchange. */
extern const char *aep_http_header(AepHttpExchange *exchange, const char *name);

/* The date that a whole answer has, in seconds since 1970; -1: none. */
extern int64 aep_http_date(AepHttpExchange *exchange);

/* Frees the exchange. */
extern void aep_http_end(AepHttpExchange *exchange);

/* Versions for bug reports; static strings. */
extern const char *aep_http_library_version(void);
extern const char *aep_http_tls_version(void);

#endif /* AEP_HTTP_H */
