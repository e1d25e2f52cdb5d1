/*
 * database/host.h
 *		Hosts as text: what can be one, and whether others can reach it.
 *
 * No name is looked up.
 */
#ifndef AEP_HOST_H
#define AEP_HOST_H

/*
 * Whether a text cannot be a host, or would not be the same one for every reader;
 * *detail and *hint (NULL: none) are sentences then, without the text.  What is
 * not refused has at most 253 characters, all of them ASCII.
 */
extern bool aep_host_refused(const char *host, const char **detail, const char **hint);

/*
 * What keeps Experience Platform, which connects from outside, from reaching a
 * host, as a fragment ("a private address"); NULL: nothing known.
 */
extern const char *aep_host_obstacle(const char *host);

/* Whether it is this machine's own, for programs on this machine only. */
extern bool aep_host_is_loopback(const char *host);

#endif /* AEP_HOST_H */
