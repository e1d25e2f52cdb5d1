/*
 * json/mask.h
 *		The one place where secrets are taken out of text that a user sees.
 *
 * Plain C, never fails, allocates nothing.
 */
#ifndef AEP_MASK_H
#define AEP_MASK_H

#include <stddef.h>

/* What stands where a secret stood. */
#define AEP_MASK "********"

/* A call knows few secrets: password, token, client secret, API key. */
#define AEP_MAX_SECRETS 8

typedef struct AepSecrets
{
	const char *text[AEP_MAX_SECRETS]; /* UTF-8, not owned */
	int count;
} AepSecrets;

/* Adds a secret; NULL and the empty string are ignored. */
extern void aep_secrets_add(AepSecrets *secrets, const char *secret);

/*
 * Copies text (len bytes, UTF-8 or anything else) to out as one printable
 * line of valid UTF-8, NUL-terminated, at most outsize - 1 bytes:
 *
 * - each secret becomes AEP_MASK, whether it stands there plainly, as JSON
 *   would escape it (\" \\ \/ \n \u00e9, surrogate pairs, escaped more than
 *   once) or percent-encoded (%C3%A9, '+' for a blank), or as a mixture;
 * - one of fewer than four characters does so only where it stands by itself,
 *   not next to a letter or digit, be that escaped or not;
 * - control characters become blanks, bytes that are not UTF-8 become '?';
 * - what does not fit is cut between characters and ends in "...".
 *
 * Masking precedes the cut, so half a secret never survives it.  Returns the
 * length of out.  secrets may be NULL.
 */
extern size_t aep_mask(const AepSecrets *secrets, const char *text, size_t len, char *out,
					   size_t outsize);

#endif /* AEP_MASK_H */
