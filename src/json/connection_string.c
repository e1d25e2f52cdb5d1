/*
 * json/connection_string.c
 *		What depends on the spelling of a PostgreSQL connection string for
 *		Experience Platform.
 */
#include <stdio.h>
#include <string.h>

#include "json/connection_string.h"
#include "json/utf8.h"

typedef struct SslMode
{
	const char *word;	/* Experience Platform's */
	const char *suffix; /* what says so in a connection string */
} SslMode;

static const SslMode ssl_modes[] = {
	{"Disable", ";EncryptionMethod=0;ValidateServerCertificate=0"},
	{"Allow", ";EncryptionMethod=6;ValidateServerCertificate=0"},
	{"Prefer", ";EncryptionMethod=6;ValidateServerCertificate=0"},
	{"Require", ";EncryptionMethod=1;ValidateServerCertificate=0"},
	{"Verify Ca", ";EncryptionMethod=1;ValidateServerCertificate=1"},
	{"Verify Full", ";EncryptionMethod=1;ValidateServerCertificate=1"},
	{"Verify-Ca", ";EncryptionMethod=1;ValidateServerCertificate=1"},
	{"Verify-Full", ";EncryptionMethod=1;ValidateServerCertificate=1"},
};

#define SSL_MODE_COUNT (sizeof(ssl_modes) / sizeof(ssl_modes[0]))

static const char *
skip_separators(const char *text)
{
	return text + strspn(text, " -_");
}

/* tolower() would ask the locale, where a Turkish I is no i */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Equal but for letter case and separators? */
static bool
is_same_mode(const char *a, const char *b)
{
	for (;;)
	{
		a = skip_separators(a);
		b = skip_separators(b);
		if (lower(*a) != lower(*b))
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

const char *
aep_ssl_mode(const char *text)
{
	/* Adobe's pages differ in some words, so each of theirs is sent as it was given */
	for (size_t i = 0; i < SSL_MODE_COUNT; i++)
	{
		if (strcmp(text, ssl_modes[i].word) == 0)
			return ssl_modes[i].word;
	}
	for (size_t i = 0; i < SSL_MODE_COUNT; i++)
	{
		if (is_same_mode(text, ssl_modes[i].word))
			return ssl_modes[i].word;
	}
	return NULL;
}

const char *
aep_ssl_mode_list(void)
{
	return "Disable, Allow, Prefer, Require, Verify Ca, Verify Full";
}

const char *
aep_connection_string_refusal(const char *value)
{
	size_t len = strlen(value);
	size_t at = 0;
	bool blank = false;

	if (len == 0)
		return "must not be empty";
	while (at < len)
	{
		uint32_t code = 0;
		size_t size = aep_utf8_read(value + at, len - at, &code);

		/* a byte that is not UTF-8 is not for us to judge; ADO.NET trims more than ASCII's blanks */
		blank = size > 0 && aep_utf8_is_blank(code);
		if (size > 0 && aep_utf8_is_control(code))
			return "must not hold a control character";
		if (code == ';')
			return "must not hold a semicolon";
		if (at == 0 && blank)
			return "must not begin with a blank";
		if (at == 0 && size > 0 && code < 0x80 && strchr("\"'={", (int) code) != NULL)
			return "must not begin with a quote, an equals sign or a brace";
		at += size > 0 ? size : 1;
	}
	return blank ? "must not end with a blank" : NULL;
}

static bool
append_text(AepBuffer *out, const char *text)
{
	return aep_buffer_append(out, text, strlen(text));
}

static bool
append_suffix(AepBuffer *out, const char *ssl_mode)
{
	if (ssl_mode == NULL)
		return true;
	for (size_t i = 0; i < SSL_MODE_COUNT; i++)
	{
		if (strcmp(ssl_mode, ssl_modes[i].word) == 0)
			return append_text(out, ssl_modes[i].suffix);
	}
	/* not one of ours: better a connection refused than one in clear */
	return append_text(out, ssl_modes[SSL_MODE_COUNT - 1].suffix);
}

bool
aep_connection_string(const AepBaseConnection *connection, AepBuffer *out)
{
	char port[16];

	snprintf(port, sizeof(port), "%d", connection->port);
	return append_text(out, "Server=") && append_text(out, connection->host) &&
		   append_text(out, ";Database=") && append_text(out, connection->database) &&
		   append_text(out, ";Port=") && append_text(out, port) && append_text(out, ";UID=") &&
		   append_text(out, connection->username) && append_text(out, ";Password=") &&
		   append_text(out, connection->password) && append_suffix(out, connection->ssl_mode);
}
