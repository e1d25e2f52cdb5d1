/*
 * flow_service.h
 *		Flow Service's calls, one function each.
 */
#ifndef AEP_FLOW_SERVICE_H
#define AEP_FLOW_SERVICE_H

#include "payload.h"
#include "reply.h"
#include "server.h"

/*
 * POST /connections.  Strings of *connection are in the database's encoding,
 * so is what *created gets.  Logs the new id.  Throws the error table of
 * error.c, 22021 for text that cannot be sent, 08P01 for an answer without a
 * usable id, HV00J for an incomplete server.
 */
extern void aep_flow_create_connection(const AepServer *server, const AepBaseConnection *connection,
									   AepCreated *created);

/*
 * The body that the call above would send, secrets masked: JSON text in the
 * database's encoding, palloc'd.
 */
extern char *aep_flow_connection_preview(const AepBaseConnection *connection);

#endif /* AEP_FLOW_SERVICE_H */
