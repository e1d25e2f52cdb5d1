/*
 * json/mask.c
 *		The one place where secrets are taken out of text that a user sees.
 *
 * How a service repeats a value is its own affair: plainly, as JSON, as JSON
 * within JSON, as part of a URL or of an HTML page.  A place in a text can
 * often be read in more than one way ("%41" is itself, or an A), so a secret
 * is looked for in all ways at once, as a regular expression would be: what
 * is kept are pairs of places, one in the secret and one in the text, up to
 * which both agree.
 *
 * Both sides may be large, and chosen to make us slow.  A search that gets as
 * far as PROOF bytes into the secret counts as successful and is masked as
 * far as it goes, so its text need not be read again; any other fails early.
 * And reading ends when the output is full.
 */
#include <stdbool.h>
#include <string.h>

#include "json/escape.h"
#include "json/mask.h"
#include "json/utf8.h"

/* Agreement on this many bytes of a longer secret proves that it is there. */
#define PROOF 64

/*
 * A secret of fewer characters is masked only where it stands by itself: with a
 * password "e" nothing that we say could be read.
 */
#define LONG_ENOUGH 4

/*
 * Escaping doubles backslashes each time.  Until there is proof, more than
 * these together are no escape.
 */
#define MAX_BACKSLASHES 1024

/* Real text leaves one or two ways of reading open. */
#define MAX_OPEN 8

/* How many steps the search for overlapping secrets may take in all. */
#define OVERLAP_STEPS 1000000

/*
 * How many steps a call may take: enough for some ten secrets of 1 MB in the
 * text and, for each byte of output, for a failing search for every secret.
 * Beyond that the output is cut, full or not.
 */
#define MAX_STEPS(outsize) (20000000 + PROOF * AEP_MAX_SECRETS * (outsize))

/* Secret and text agree up to these places. */
typedef struct Agreement
{
	size_t secret;
	size_t text;
	bool escaped; /* behind backslashes: what follows may be an escape */
} Agreement;

/* Looks for one secret in the text. */
typedef struct Search
{
	AepText secret;
	AepText text;
	size_t proof;
	bool is_short; /* to be masked only by itself */
	size_t end;	   /* where the secret ends in the text; 0: not found */
	size_t steps;  /* taken since the last start */
	int nopen;
	Agreement open[MAX_OPEN];
} Search;

/* All secrets of a call. */
typedef struct SearchList
{
	int count;
	Search searches[AEP_MAX_SECRETS];
} SearchList;

/* The output. */
typedef struct Line
{
	char *data;
	size_t room; /* without the NUL */
	size_t len;
	size_t cut; /* the longest length so far that leaves room for "..." */
} Line;

void
aep_secrets_add(AepSecrets *secrets, const char *secret)
{
	if (secret == NULL || secret[0] == '\0' || secrets->count >= AEP_MAX_SECRETS)
		return;
	secrets->text[secrets->count++] = secret;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Is a character of the secret the same as one in the text?  Those that the
 * output shows alike are, else it could show a secret that the text did not
 * hold; and a service may turn line breaks into blanks by itself.
 */
static bool
is_same(uint32_t secret, uint32_t text)
{
	if (secret == text)
		return true;
	if (secret == ' ' || aep_utf8_is_control(secret))
		return text == ' ' || aep_utf8_is_control(text);
	return secret == '?' && text >= AEP_INVALID_BYTE;
}

/* Keeps an agreement for later, unless it is there already. */
static void
keep(Search *search, size_t secret, size_t text, bool escaped)
{
	for (int i = 0; i < search->nopen; i++)
	{
		const Agreement *open = &search->open[i];

		if (open->secret == secret && open->text == text && open->escaped == escaped)
			return;
	}
	if (search->nopen < MAX_OPEN)
		search->open[search->nopen++] = (Agreement){secret, text, escaped};
}

/* Takes the agreement that is least far in the text, so that all keep pace. */
static Agreement
take(Search *search)
{
	int next = 0;
	Agreement taken;

	for (int i = 1; i < search->nopen; i++)
	{
		if (search->open[i].text < search->open[next].text)
			next = i;
	}
	taken = search->open[next];
	search->open[next] = search->open[--search->nopen];
	return taken;
}

/* Goes on over text that can be read in one way only; most text can. */
static Agreement
skip_plain(Search *search, Agreement at)
{
	const AepText *secret = &search->secret;
	const AepText *text = &search->text;

	while (at.secret < secret->len && at.text < text->len && !at.escaped)
	{
		unsigned char c = (unsigned char) text->data[at.text];

		if (c != (unsigned char) secret->data[at.secret] || c <= ' ' || c >= 0x7f || c == '\\' ||
			c == '%' || c == '&' || c == '+')
			break;
		at.secret++;
		at.text++;
		search->steps++;
	}
	return at;
}

/*
 * Passes all backslashes at a place of the text, plain or escaped.  They may
 * be the secret's own, or escape what follows, or both, since escaping doubles
 * the own ones: so together they agree with all that the secret has there, be
 * it none, and what follows may be escaped.
 */
static void
pass_backslashes(Search *search, Agreement at, bool own)
{
	size_t own_count =
		own ? aep_escape_plain_backslashes(&search->secret, at.secret, search->proof) : 0;
	size_t max = at.secret + own_count >= search->proof ? SIZE_MAX : MAX_BACKSLASHES;
	size_t count;
	size_t size = aep_escape_backslashes(&search->text, at.text, max, &count);
	size_t plain;

	if (count == 0)
		return;
	search->steps += count;
	if (!own)
	{
		if (count < max)
			keep(search, at.secret, at.text + size, true);
		return;
	}
	own_count = aep_escape_plain_backslashes(&search->secret, at.secret, count);
	keep(search, at.secret + own_count, at.text + size, true);
	/* what looks like an escaped one may be the secret's own text */
	plain = aep_escape_plain_backslashes(&search->text, at.text, count);
	if (plain > 0 && plain < size)
		keep(search, at.secret + smaller(own_count, plain), at.text + plain, true);
}

/* A letter or digit; letters of scripts that write words apart. */
static bool
is_of_word(uint32_t code)
{
	return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
		   (code >= 'a' && code <= 'z') ||
		   (code >= 0xc0 && code < 0x2000 && code != 0xd7 && code != 0xf7);
}

/*
 * Does a word end at a place?  What looks like a letter may be the end of an
 * escape, as in %20 and \n.
 */
static bool
is_behind_word(Search *search, size_t at)
{
	const AepText *text = &search->text;
	uint32_t code;

	/* what stands there may be escaped itself */
	if (text->data[at] == '\\')
	{
		size_t start = at;

		while (at > 0 && start - at < MAX_BACKSLASHES && text->data[at - 1] == '\\')
			at--;
		search->steps += start - at;
	}
	if (at == 0)
		return false;
	(void) aep_escape_plain_before(text, at, &code);
	if (!is_of_word(code))
		return false;
	return aep_escape_read_before(text, at, &code) == 0 || is_of_word(code);
}

/* Does a word go on, or begin, at a place, escaped or not? */
static bool
is_before_word(Search *search, size_t at, bool escaped)
{
	const AepText *text = &search->text;
	size_t count;
	size_t behind = at + aep_escape_backslashes(text, at, MAX_BACKSLASHES, &count);
	uint32_t code;

	search->steps += count;
	if (behind == text->len)
		return false;
	if (aep_escape_read(text, behind, escaped || count > 0, &code) == 0)
		(void) aep_escape_plain(text, at, &code);
	return is_of_word(code);
}

/* Goes on by one character in every way there is. */
static void
step(Search *search, Agreement at)
{
	uint32_t wanted;
	uint32_t found;
	size_t wanted_size;
	size_t size;

	search->steps++;
	if (at.secret >= search->proof && at.text > search->end &&
		!(search->is_short && is_before_word(search, at.text, at.escaped)))
		search->end = at.text;
	if (at.secret == search->secret.len || at.text == search->text.len)
		return;

	wanted_size = aep_escape_plain(&search->secret, at.secret, &wanted);
	pass_backslashes(search, at, wanted == '\\');
	size = aep_escape_plain(&search->text, at.text, &found);
	if (found != '\\' && is_same(wanted, found))
		keep(search, at.secret + wanted_size, at.text + size, false);
	size = aep_escape_read(&search->text, at.text, at.escaped, &found);
	if (size > 0 && found != '\\' && is_same(wanted, found))
		keep(search, at.secret + wanted_size, at.text + size, false);
}

/* Where a secret that begins at a place of the text ends; 0: none does. */
static size_t
find_end(Search *search, size_t start)
{
	search->end = 0;
	search->steps = 0;
	search->nopen = 0;
	keep(search, 0, start, false);
	while (search->nopen > 0)
	{
		Agreement at = take(search);

		if (search->nopen == 0)
			at = skip_plain(search, at);
		step(search, at);
	}
	if (search->is_short && search->end > 0 && is_behind_word(search, start))
		search->end = 0;
	return search->end;
}

/* The same for the secret that reaches farthest; adds the steps that took. */
static size_t
find_farthest_end(SearchList *list, size_t start, size_t *steps)
{
	size_t farthest = 0;

	for (int i = 0; i < list->count; i++)
	{
		size_t end = find_end(&list->searches[i], start);

		if (end > farthest)
			farthest = end;
		*steps += list->searches[i].steps;
	}
	return farthest;
}

/* Fewer characters than LONG_ENOUGH? */
static bool
is_short(const AepText *secret)
{
	size_t at = 0;

	for (int count = 0; count < LONG_ENOUGH; count++)
	{
		uint32_t code;

		if (at == secret->len)
			return true;
		at += aep_escape_plain(secret, at, &code);
	}
	return false;
}

static void
prepare_searches(SearchList *list, const AepSecrets *secrets, const AepText *text)
{
	list->count = secrets != NULL ? secrets->count : 0;
	for (int i = 0; i < list->count; i++)
	{
		Search *search = &list->searches[i];

		search->secret = (AepText){secrets->text[i], strlen(secrets->text[i])};
		search->text = *text;
		search->proof = smaller(search->secret.len, PROOF);
		search->is_short = is_short(&search->secret);
	}
}

/* Ends the line with what shows that something is missing. */
static void
cut(Line *line)
{
	line->len = line->cut;
	for (int i = 0; i < 3 && line->len < line->room; i++)
		line->data[line->len++] = '.';
}

/* Appends what must not be split.  False: it did not fit, the line is cut. */
static bool
append(Line *line, const char *data, size_t len)
{
	if (len > line->room - line->len)
	{
		cut(line);
		return false;
	}
	memcpy(line->data + line->len, data, len);
	line->len += len;
	if (line->len + 3 <= line->room)
		line->cut = line->len;
	return true;
}

/* Appends the character at a place as it can be shown, and moves behind it. */
static bool
append_char(Line *line, const AepText *text, size_t *at)
{
	const char *data = text->data + *at;
	uint32_t code;
	size_t size = aep_escape_plain(text, *at, &code);

	*at += size;
	if (code >= AEP_INVALID_BYTE)
		return append(line, "?", 1);
	if (aep_utf8_is_control(code))
		return append(line, " ", 1);
	return append(line, data, size);
}

size_t
aep_mask(const AepSecrets *secrets, const char *text, size_t len, char *out, size_t outsize)
{
	const AepText whole = {text, len};
	Line line = {out, outsize - 1, 0, 0};
	SearchList list;
	bool has_room = true;
	size_t masked = 0; /* up to here */
	size_t steps = 0;
	size_t overlap_steps = 0;
	size_t at = 0;

	if (outsize == 0)
		return 0;
	prepare_searches(&list, secrets, &whole);
	while (has_room && at < len)
	{
		bool is_overlap = at < masked;
		size_t end = find_farthest_end(&list, at, is_overlap ? &overlap_steps : &steps);

		if (end == 0 && !is_overlap)
			has_room = append_char(&line, &whole, &at);
		else
		{
			if (!is_overlap)
				has_room = append(&line, AEP_MASK, strlen(AEP_MASK));
			/* another secret may begin within this one and end behind it */
			if (end > masked)
				masked = end;
			at = overlap_steps < OVERLAP_STEPS ? at + 1 : masked;
		}
		if (has_room && at < len && steps > MAX_STEPS(outsize))
		{
			cut(&line);
			has_room = false;
		}
	}
	out[line.len] = '\0';
	return line.len;
}
