/*
 * http/head.h
 *		What the heads of an answer may say before its body is read: status
 *		lines, headers and trailers.
 *
 * Only http.c calls this, from libcurl's callback: nothing here throws.
 */
#ifndef AEP_HEAD_H
#define AEP_HEAD_H

/* All zeros before the first line. */
typedef struct AepHead
{
	size_t size; /* of all lines so far */
	int codings; /* of the body, beside "chunked" */
	bool ended;	 /* a body, or another head, is next */
} AepHead;

/*
 * Takes in a line.  Not NULL: the answer must not be read any further; the
 * constant completes "The answer ...".
 */
extern const char *aep_head_line(AepHead *head, const char *line, size_t len);

/* Whether a line is the status line of a proxy that asks for a password. */
extern bool aep_head_asks_for_login(const char *line, size_t len);

#endif /* AEP_HEAD_H */
