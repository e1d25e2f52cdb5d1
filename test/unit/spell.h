/*
 * spell.h
 *		Writes a text in one of the many ways in which a service might repeat
 *		it, for the tests of mask.c.
 */
#ifndef SPELL_H
#define SPELL_H

#include <stdbool.h>
#include <stddef.h>

#include "json/buffer.h"

/* Where decisions come from; when it is used up, all are for the first way. */
typedef struct Choices
{
	const unsigned char *data;
	size_t len;
} Choices;

/* A number below n. */
extern size_t choose(Choices *choices, size_t n);

/* Can spell() write this text so that it can be told from what it stands for? */
extern bool can_spell(const char *text);

/* Appends text, UTF-8, in some spelling. */
extern void spell(Choices *choices, const char *text, AepBuffer *out);

#endif /* SPELL_H */
