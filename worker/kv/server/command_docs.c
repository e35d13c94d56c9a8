/* SPDX-License-Identifier: MIT */
/* command_docs.c -- COMMAND DOCS and every HELP: the table, for people. */
#include "worker/kv/server/command.h"
#include "worker/kv/server/syntax.h"
#include <ctype.h>
#include <stdio.h>

#define NAME_MAX 128

/* ---- arguments ---- */

/* What a value is, by its name; a string if it is not here. */
static const char *type_of(struct rf_bytes name)
{
	static const struct {
		const char *type, *names;
	} types[] = {
		{"key", " key key1 key2 newkey source destination destkey src "
			"dst "},
		{"integer",
			" bit client-id count cursor db decrement "
			"destination-db end frequency increment index index1 "
			"index2 len limit milliseconds num-matches numkeys "
			"offset protover rank seconds start stop ttl weight "},
		{"double", " score timeout "},
		{"pattern", " pattern "},
		{"unix-time", " unix-time-seconds unix-time-milliseconds "},
	};
	char word[NAME_MAX];

	snprintf(word, sizeof word, " %.*s ", (int)name.bytes, name.at);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strstr(types[i].names, word) != NULL)
			return types[i].type;
	return "string";
}

/* Its own, in lower case, or those of its parts. */
static size_t name_of(const struct kv_node *node, char *to, size_t room)
{
	struct rf_bytes name = node->name;
	size_t used = 0;

	if (node->type == KV_NODE_TOKEN)
		name = node->token;
	for (; used < name.bytes && used + 1 < room; used++)
		to[used] = (char)tolower((unsigned char)name.at[used]);
	for (const struct kv_node *at = node->child; at != NULL;
		at = at->next) {
		if (used > 0 && used + 1 < room)
			to[used++] = '_';
		used += name_of(at, to + used, room - used);
	}
	to[used] = '\0';
	return used;
}

static size_t count_nodes(const struct kv_node *node)
{
	size_t count = 0;

	for (; node != NULL; node = node->next)
		count++;
	return count;
}

static void reply_text(struct kv_call *call, const char *name, const char *text)
{
	rf_resp_bulk_text(call->reply, name);
	rf_resp_bulk_text(call->reply, text);
}

static void reply_flags(struct kv_call *call, const struct kv_node *node)
{
	rf_resp_bulk_text(call->reply, "flags");
	rf_resp_set(call->reply, call->proto,
		(size_t)node->optional + node->multiple + node->multiple_token);
	if (node->optional)
		rf_resp_simple(call->reply, "optional");
	if (node->multiple)
		rf_resp_simple(call->reply, "multiple");
	if (node->multiple_token)
		rf_resp_simple(call->reply, "multiple_token");
}

static void reply_nodes(struct kv_call *call, const struct kv_node *node);

static void reply_node(struct kv_call *call, const struct kv_node *node)
{
	static const char *const types[] = {
		[KV_NODE_TOKEN] = "pure-token",
		[KV_NODE_ONEOF] = "oneof",
		[KV_NODE_BLOCK] = "block",
	};
	bool has_flags = node->optional || node->multiple;
	char name[NAME_MAX];

	name_of(node, name, sizeof name);
	rf_resp_map(call->reply, call->proto,
		2 + (size_t)(node->token.bytes > 0) + has_flags +
			(node->child != NULL));
	reply_text(call, "name", name);
	reply_text(call, "type",
		node->type == KV_NODE_VALUE ? type_of(node->name)
					    : types[node->type]);
	if (node->token.bytes > 0) {
		rf_resp_bulk_text(call->reply, "token");
		rf_resp_bulk(call->reply, node->token.at, node->token.bytes);
	}
	if (has_flags)
		reply_flags(call, node);
	if (node->child != NULL) {
		rf_resp_bulk_text(call->reply, "arguments");
		reply_nodes(call, node->child);
	}
}

static void reply_nodes(struct kv_call *call, const struct kv_node *node)
{
	rf_resp_array(call->reply, count_nodes(node));
	for (; node != NULL; node = node->next)
		reply_node(call, node);
}

/* ---- commands ---- */

static void reply_docs(struct kv_call *call, const struct kv_command *command)
{
	size_t children = kv_count_children(command);
	bool has_arguments = command->syntax[0] != '\0';
	bool has_complexity = command->complexity[0] != '\0';

	rf_resp_bulk_text(call->reply, command->name);
	rf_resp_map(call->reply, call->proto,
		3 + (size_t)has_complexity + (size_t)has_arguments +
			(children > 0));
	reply_text(call, "summary", command->summary);
	reply_text(call, "since", command->since);
	reply_text(call, "group", command->group);
	if (has_complexity)
		reply_text(call, "complexity", command->complexity);
	if (has_arguments) {
		struct kv_tree tree;

		rf_resp_bulk_text(call->reply, "arguments");
		reply_nodes(call, kv_syntax_read(command->syntax, &tree));
	}
	if (children == 0)
		return;
	rf_resp_bulk_text(call->reply, "subcommands");
	rf_resp_map(call->reply, call->proto, children);
	for (size_t i = 0; i < kv_subcommand_count; i++)
		if (kv_table_is_child(&kv_subcommands[i], command))
			reply_docs(call, &kv_subcommands[i]);
}

void kv_cmd_command_docs(struct kv_call *call)
{
	size_t count = 0;

	if (call->argc == 2) {
		rf_resp_map(call->reply, call->proto, kv_command_count);
		for (size_t i = 0; i < kv_command_count; i++)
			reply_docs(call, &kv_commands[i]);
		return;
	}
	for (uint32_t i = 2; i < call->argc; i++)
		count += kv_table_by_name(
				 call->argv[i].at, call->argv[i].bytes) != NULL;
	rf_resp_map(call->reply, call->proto, count);
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct kv_command *command =
			kv_table_by_name(call->argv[i].at, call->argv[i].bytes);

		if (command != NULL)
			reply_docs(call, command);
	}
}

/* ---- HELP ---- */

static void help_lines(struct kv_call *call, const struct kv_command *child)
{
	const char *name = strchr(child->name, '|') + 1;
	char text[512];
	size_t i = 0;

	for (; name[i] != '\0'; i++)
		text[i] = (char)toupper((unsigned char)name[i]);
	snprintf(text + i, sizeof text - i, "%s%s",
		child->syntax[0] != '\0' ? " " : "", child->syntax);
	rf_resp_simple(call->reply, text);
	snprintf(text, sizeof text, "    %s.", child->summary);
	rf_resp_simple(call->reply, text);
}

void kv_help(struct kv_call *call)
{
	const struct kv_command *parent =
		kv_table_by_name(call->argv[0].at, call->argv[0].bytes);
	char text[128], *at = text;

	for (const char *from = parent->name; *from != '\0'; from++)
		*at++ = (char)toupper((unsigned char)*from);
	strcpy(at, " <subcommand> [<arg> [value] [opt] ...]. "
		   "Subcommands are:");
	rf_resp_array(call->reply, 1 + 2 * kv_count_children(parent));
	rf_resp_simple(call->reply, text);
	for (size_t i = 0; i < kv_subcommand_count; i++)
		if (kv_table_is_child(&kv_subcommands[i], parent))
			help_lines(call, &kv_subcommands[i]);
}

void kv_cmd_command_help(struct kv_call *call)
{
	kv_help(call);
}
