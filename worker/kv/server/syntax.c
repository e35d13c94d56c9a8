/* SPDX-License-Identifier: MIT */
/* syntax.c -- the column `syntax` of the table, read into a tree.
 *
 *   name              a value; what it is follows from its name
 *   TOKEN             a word to be written as it is; first of several in the
 *                     same brackets, it goes before the others
 *   [...]             may be left out
 *   <a|b>, [a|b]      one of several
 *   x y [x y ...]     may be repeated; with its token if that stands there
 *   [a|b [a|b ...]]   the choice may be repeated
 */
#include "worker/kv/server/syntax.h"
#include <ctype.h>
#include <string.h>

struct parser {
	const char *at;
	struct kv_tree *tree;
	bool choice_repeats;
};

static struct kv_node *make(struct parser *parser, enum kv_node_type type)
{
	struct kv_node *node = &parser->tree->nodes[parser->tree->count++];

	RF_CHECK(parser->tree->count <= KV_NODES_MAX);
	*node = (struct kv_node){.type = type};
	return node;
}

static struct kv_node *block_of(struct parser *parser, struct kv_node *first)
{
	struct kv_node *block = make(parser, KV_NODE_BLOCK);

	block->child = first;
	return block;
}

/* ---- words ---- */

static bool is_token(struct rf_bytes word)
{
	for (size_t i = 0; i < word.bytes; i++)
		if (islower((unsigned char)word.at[i]))
			return false;
	return true;
}

static struct rf_bytes word_at(const char *at)
{
	return (struct rf_bytes){at, strcspn(at, " []<>|")};
}

static struct kv_node *read_word(struct parser *parser)
{
	struct rf_bytes word = word_at(parser->at);
	bool token = is_token(word);
	struct kv_node *node =
		make(parser, token ? KV_NODE_TOKEN : KV_NODE_VALUE);

	parser->at += word.bytes;
	if (token)
		node->token = word;
	else
		node->name = word;
	return node;
}

/* ---- what may be repeated ---- */

/* Behind the bracket that closes the one that opens here. */
static const char *end_of_brackets(const char *at)
{
	int depth = 0;

	do {
		depth += *at == '[' || *at == '<';
		depth -= *at == ']' || *at == '>';
		at++;
	} while (depth > 0);
	return at;
}

static bool is_repeat(const char *at)
{
	const char *end = end_of_brackets(at);

	return *at == '[' && end - at > 5 && memcmp(end - 5, " ...]", 5) == 0;
}

/* How often a character stands outside of brackets within these. */
static size_t count_within(const char *at, char wanted)
{
	const char *end = end_of_brackets(at) - 1;
	size_t count = 0;

	for (at++; at < end; at++) {
		if (*at == '[' || *at == '<')
			at = end_of_brackets(at) - 1;
		else
			count += *at == wanted;
	}
	return count;
}

/* The last nodes of the list become one that may be repeated. */
static void repeat(struct parser *parser, struct kv_node **list, size_t count)
{
	struct kv_node **first = list;
	size_t total = 0;

	for (const struct kv_node *at = *list; at != NULL; at = at->next)
		total++;
	while (total-- > count)
		first = &(*first)->next;
	if (count > 1)
		*first = block_of(parser, *first);
	(*first)->multiple = true;
}

static void read_repeat(struct parser *parser, struct kv_node **list)
{
	const char *at = parser->at;
	bool with_token = is_token(word_at(at + 1)) && at[1] != '<';

	parser->at = end_of_brackets(at);
	if (count_within(at, '|') > 0) {
		parser->choice_repeats = true;
	} else if (with_token) {
		/* All behind the token. */
		repeat(parser, &(*list)->next, count_within(at, ' ') - 1);
		(*list)->next->multiple_token = true;
	} else {
		repeat(parser, list, count_within(at, ' '));
	}
}

/* ---- lists and choices ---- */

static struct kv_node *read_choice(struct parser *parser);

static struct kv_node *read_item(struct parser *parser)
{
	bool optional = *parser->at == '[';
	struct kv_node *node;

	if (!optional && *parser->at != '<')
		return read_word(parser);
	node = read_choice(parser);
	node->optional = optional;
	return node;
}

/* A token that others follow belongs to them. */
static struct kv_node *take_token(struct parser *parser, struct kv_node *first)
{
	struct kv_node *rest = first != NULL ? first->next : NULL;

	if (rest == NULL || first->type != KV_NODE_TOKEN)
		return first;
	if (rest->next != NULL || rest->token.bytes > 0)
		rest = block_of(parser, rest);
	rest->token = first->token;
	return rest;
}

static struct kv_node *read_list(struct parser *parser)
{
	struct kv_node *first = NULL, **end;

	for (;;) {
		parser->at += strspn(parser->at, " ");
		if (*parser->at == '\0' || strchr("]>|", *parser->at) != NULL)
			return take_token(parser, first);
		if (is_repeat(parser->at)) {
			read_repeat(parser, &first);
			continue;
		}
		for (end = &first; *end != NULL; end = &(*end)->next)
			;
		*end = read_item(parser);
	}
}

static struct kv_node *read_choice(struct parser *parser)
{
	struct kv_node *first = NULL, **end = &first, *node;
	bool repeats;

	do {
		parser->at++;
		node = read_list(parser);
		if (node->next != NULL)
			node = block_of(parser, node);
		*end = node;
		end = &node->next;
	} while (*parser->at == '|');
	parser->at++;
	repeats = parser->choice_repeats;
	parser->choice_repeats = false;
	if (first->next == NULL)
		return first;
	node = make(parser, KV_NODE_ONEOF);
	node->child = first;
	node->multiple = repeats;
	return node;
}

const struct kv_node *kv_syntax_read(const char *syntax, struct kv_tree *tree)
{
	struct parser parser = {.at = syntax, .tree = tree};

	tree->count = 0;
	return read_list(&parser);
}
