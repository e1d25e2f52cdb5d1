/*
 * http/wait.h
 *		Waits for libcurl's sockets and timer the way PostgreSQL waits: latch,
 *		postmaster death and sockets in one WaitEventSet, interrupts served
 *		after every wake-up.
 *
 * Only http.c calls this.
 */
#ifndef AEP_WAIT_H
#define AEP_WAIT_H

#include <curl/curl.h>

/*
 * Sets aside what a multi handle needs: a wait event, descriptors for libcurl's
 * own socket pairs.  Throws if there is no wait event to be had.
 */
extern void aep_wait_prepare(void);

/*
 * Connects a new multi handle to this backend's socket table and timer; false
 * if libcurl refuses.
 */
extern bool aep_wait_attach(CURLM *multi);

/* Forgets every socket of a multi handle that was cleaned up. */
extern void aep_wait_detach(void);

/* For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION. */
extern curl_socket_t aep_wait_open_socket(void *arg, curlsocktype purpose,
										  struct curl_sockaddr *address);
extern int aep_wait_close_socket(void *arg, curl_socket_t fd);

/* For CURLOPT_RESOLVER_START_FUNCTION: libcurl may start a thread next. */
extern int aep_wait_resolver_starts(void *resolver, void *reserved, void *arg);

/* The connection that a request is about to go out on. */
typedef struct AepWaitConnection
{
	bool known; /* else nothing is known of it */
	bool used;	/* for a request before */
	bool idle;	/* libcurl waits for nothing on it */
	bool stirs; /* used, and something has come in, or the other end has closed it */
} AepWaitConnection;

/*
 * For CURLOPT_PREREQFUNCTION, which is told the connection's own port: finds
 * the connection, and counts it as used from now on.
 */
extern void aep_wait_request_begins(int port, AepWaitConnection *connection);

/*
 * Whether something has come in on any connection that libcurl waits for nothing
 * on, or the other end has closed one.
 */
extern bool aep_wait_idle_stirs(void);

/*
 * curl_multi_add_handle() and curl_multi_remove_handle(), with signals blocked
 * from the start of a name look-up on.  No throw.
 */
extern CURLMcode aep_wait_add(CURLM *multi, CURL *easy);
extern CURLMcode aep_wait_remove(CURLM *multi, CURL *easy);

/*
 * Sleeps until a socket of libcurl's is ready, its timer is due, the latch is
 * set or max_ms milliseconds have passed (-1: no such limit; 0: does not sleep);
 * then serves interrupts and lets libcurl work.  Throws what the interrupt throws, and
 * what building a WaitEventSet may.  Any code but CURLM_OK means that the
 * multi handle cannot be used any more.
 */
extern CURLMcode aep_wait_step(CURLM *multi, long max_ms);

/* Milliseconds of a clock that never jumps. */
extern int64 aep_wait_now(void);

#endif /* AEP_WAIT_H */
