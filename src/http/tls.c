/*
 * http/tls.c
 *		What only the TLS library knows of a connection of libcurl's, and what
 *		only it can limit.
 *
 * OpenSSL stands between the socket and libcurl.  It decrypts a record as a
 * whole, so bytes that came behind an answer may wait inside it, where neither
 * the kernel nor libcurl shows them.  And it is where every byte passes before
 * anybody gives it a meaning: libcurl has loops (HTTP/2 before 8.11) and
 * OpenSSL itself has some (TLS 1.3's tickets, TLS 1.2's hello requests) that
 * read, within one call, for as long as the other end sends.
 */
#include "postgres.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <curl/curl.h>

#include "http/tls.h"

/*
 * One call of libcurl reads so many bytes; then it hears that there are none
 * for now, and returns, which is when interrupts are served.
 */
#define BYTES_PER_CALL (256 * 1024)

/* All that a server may send before the first request: certificates, mostly. */
#define HANDSHAKE_BYTES (1024 * 1024)

/* As many requests' allowance is kept for one connection. */
#define MAX_ALLOWANCES 256

static int64 bytes_of_call = 0;

/* The last connection that had to be ended; nothing to look into: it may be gone. */
static const BIO *flooded = NULL;

bool
aep_tls_is_known(void)
{
	static bool compared = false;
	static bool known = false;

	if (!compared)
	{
		const char *used = curl_version_info(CURLVERSION_NOW)->ssl_version; /* "OpenSSL/3.0.19" */
		const char *ours = OpenSSL_version(OPENSSL_VERSION); /* "OpenSSL 3.0.19 27 Jan 2026" */
		const char *slash = used != NULL ? strchr(used, '/') : NULL;

		compared = true;
		if (slash != NULL)
		{
			size_t name = slash - used;
			size_t version = strcspn(slash + 1, " ");

			known = strncmp(ours, used, name) == 0 && ours[name] == ' ' &&
					strncmp(ours + name + 1, slash + 1, version) == 0 &&
					(ours[name + 1 + version] == ' ' || ours[name + 1 + version] == '\0');
		}
	}
	return known;
}

/*
 * How many bytes may still come in on a connection.  It is kept where OpenSSL
 * offers a place for a pointer, so that it lives and dies with the connection.
 */
static intptr_t
allowance(BIO *input)
{
	return (intptr_t) BIO_get_callback_arg(input);
}

static void
set_allowance(BIO *input, intptr_t bytes)
{
	BIO_set_callback_arg(input, (char *) bytes);
}

/* BIO_callback_fn_ex: before and after each reading of encrypted bytes. */
static long
input_read(BIO *input, int operation, const char *data, size_t len, int argi, long argl, int result,
		   size_t *processed)
{
	if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0)
	{
		bytes_of_call += (int64) *processed;
		set_allowance(input, allowance(input) - (intptr_t) *processed);
	}
	if (operation != BIO_CB_READ)
		return result;
	if (allowance(input) <= 0)
	{
		flooded = input;
		BIO_clear_retry_flags(input);
		return -1;
	}
	if (bytes_of_call >= BYTES_PER_CALL)
	{
		/* the socket stays readable, so the wait for it ends at once */
		BIO_set_retry_read(input);
		return -1;
	}
	return result;
}

/* SSL_CTX_set_info_callback: the first that is heard of a connection. */
static void
handshake_begins(const SSL *ssl, int where, int result)
{
	BIO *input = SSL_get_rbio(ssl);

	if ((where & SSL_CB_HANDSHAKE_START) == 0 || BIO_get_callback_ex(input) == input_read)
		return;
	if (flooded == input)
		flooded = NULL; /* another one in its place */
	set_allowance(input, HANDSHAKE_BYTES);
	BIO_set_callback_ex(input, input_read);
}

CURLcode
aep_tls_prepare(CURL *easy, void *context, void *arg)
{
	/*
	 * libcurl asks for keys if SSLKEYLOGFILE was set when it was initialized,
	 * perhaps by another extension.
	 */
	SSL_CTX_set_keylog_callback(context, NULL);

	/*
	 * Of two layers of TLS only the lower one reads from the socket, and libcurl
	 * shows only the upper one.
	 */
	if (arg == NULL)
		SSL_CTX_set_info_callback(context, handshake_begins);
	return CURLE_OK;
}

void
aep_tls_call_begins(void)
{
	bytes_of_call = 0;
}

/* The connection of a request that is about to go out; NULL: none that is known. */
static SSL *
connection_of(CURL *easy)
{
	struct curl_tlssessioninfo *info = NULL;

	if (!aep_tls_is_known() || curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK ||
		info == NULL)
		return NULL;
	return info->internals;
}

const void *
aep_tls_allow(CURL *easy, int64 bytes)
{
	SSL *ssl = connection_of(easy);
	BIO *input = ssl != NULL ? SSL_get_rbio(ssl) : NULL;
	int64 left = 0;

	if (input == NULL || BIO_get_callback_ex(input) != input_read)
		return NULL;
	bytes = Min(bytes, INTPTR_MAX / MAX_ALLOWANCES);
	/* what others on the connection have not used yet */
	if (aep_tls_is_framed(easy))
		left = Min(Max(allowance(input), 0), (MAX_ALLOWANCES - 1) * bytes);
	set_allowance(input, (intptr_t) (left + bytes));
	return input;
}

bool
aep_tls_flooded(const void *connection)
{
	return connection != NULL && connection == flooded;
}

bool
aep_tls_is_framed(CURL *easy)
{
	SSL *ssl = connection_of(easy);
	const unsigned char *protocol = NULL;
	unsigned int len = 0;

	if (ssl == NULL)
		return false;
	SSL_get0_alpn_selected(ssl, &protocol, &len);
	return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

bool
aep_tls_is_drained(CURL *easy)
{
	SSL *ssl = connection_of(easy);

	return ssl != NULL && SSL_has_pending(ssl) == 0;
}
