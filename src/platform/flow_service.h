/*
 * platform/flow_service.h
 *		Flow Service's calls, one function each.
 *
 * Strings in and out are in the database's encoding.  All functions throw the
 * error table of error.c, 22021 for text that cannot be sent, 08P01 for an
 * answer that is not understood, and HV00J for an incomplete server.  A
 * Jsonb or JsonbContainer is palloc'd in the current context unless said
 * otherwise.
 */
#ifndef AEP_FLOW_SERVICE_H
#define AEP_FLOW_SERVICE_H

#include "utils/jsonb.h"

#include "database/server.h"
#include "json/payload.h"
#include "json/reply.h"
#include "platform/call.h"

/*
 * Makes sure that an access token is at hand; asks Flow Service nothing.
 * Throws what fetching one may.
 */
extern void aep_flow_check_access(const AepServer *server);

/* POST /connections.  Logs the new id.  Here *created has text of the database. */
extern void aep_flow_create_connection(const AepServer *server, const AepBaseConnection *connection,
									   AepCreated *created);

/*
 * The same in two halves, for one of many: the first makes it, for
 * aep_call_start().  The texts have passed aep_can_be_utf8().  NULL: *error says
 * why it cannot be sent.
 */
extern AepCall *aep_flow_create_begin(const AepServer *server, const AepBaseConnection *connection,
									  bool in_batch, AepError *error);

/*
 * ... the second, once aep_call_is_over(), reads the answer.  False: *error
 * says why there is no id.  Throws nothing of the exchange.
 */
extern bool aep_flow_create_finish(AepCall *call, AepCreated *created, AepError *error);

/*
 * The body that a create would send, secrets masked: JSON text, palloc'd.
 */
extern char *aep_flow_connection_preview(const AepBaseConnection *connection);

/* PATCH /connections/{id} with If-Match; an etag as it was read, with quotes. */
extern void aep_flow_update_connection(const AepServer *server, const char *id, const char *etag,
									   const AepConnectionChange *change, AepCreated *changed);

/*
 * The same without raising what becomes of the request: false, and *error says
 * why it is not certain that the change was made.
 */
extern bool aep_flow_try_update(const AepServer *server, const char *id, const char *etag,
								const AepConnectionChange *change, AepCreated *changed,
								AepError *error);

/*
 * The etag of an entity, to be sent with a change of it.  Throws 08P01 if it
 * has none: nobody could tell whose change wins.
 */
extern const char *aep_flow_etag(Jsonb *entity);

/* DELETE /connections/{id}.  Names the flows that keep the service from it. */
extern void aep_flow_delete_connection(const AepServer *server, const char *id);

/*
 * The same without raising: false, and *error says why it may be there still.
 * With *was_missing that is that the service has no such connection.
 */
extern bool aep_flow_try_delete(const AepServer *server, const char *id, bool *was_missing,
								AepError *error);

/* GET /connections/{id}: the entity, out of its envelope. */
extern Jsonb *aep_flow_connection(const AepServer *server, const char *id);

/* The same in two halves; "id" must stay until the call is over.  NULL: *error says why. */
extern AepCall *aep_flow_read_begin(const AepServer *server, const char *id);
extern Jsonb *aep_flow_read_finish(AepCall *call, AepError *error);

/*
 * GET /connections/{id}/test.  False with *reason NULL: the platform could not
 * connect; with a reason, its connector's own words.
 */
extern bool aep_flow_test_connection(const AepServer *server, const char *id, const char **reason);

typedef enum AepTestResult
{
	AEP_TEST_PASSED,
	AEP_TEST_FAILED,   /* *reason as above */
	AEP_TEST_NOT_ASKED /* *error says why */
} AepTestResult;

/* The same without raising. */
extern AepTestResult aep_flow_try_test(const AepServer *server, const char *id, const char **reason,
									   AepError *error);

/* The same in two halves. */
extern AepCall *aep_flow_test_begin(const AepServer *server, const char *id);
extern AepTestResult aep_flow_test_finish(AepCall *call, const char **reason, AepError *error);

#endif /* AEP_FLOW_SERVICE_H */
