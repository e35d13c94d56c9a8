/* SPDX-License-Identifier: MIT */
/* settings.c -- the values of the options: read, changed, put into effect. */
#include "worker/kv/client/client.h"
#include "worker/kv/server/config.h"

#define STRING_BYTES_MAX (INT64_C(512) << 20) /* unless CONFIG SET says more */

struct kv_settings *kv_settings;

static int64_t *field_of(const struct kv_option *option)
{
	return (int64_t *)((char *)kv_settings + option->field);
}

static struct rf_bytes text_of(const char *text)
{
	return (struct rf_bytes){text, strlen(text)};
}

const struct kv_option *kv_option_find(struct rf_bytes name)
{
	for (size_t i = 0; i < kv_option_count; i++)
		if (kv_is(name, kv_options[i].name))
			return &kv_options[i];
	return NULL;
}

/* ---- what it is ---- */

static void copy(char to[KV_OPTION_TEXT_MAX], struct rf_bytes text)
{
	if (text.bytes >= KV_OPTION_TEXT_MAX)
		text.bytes = KV_OPTION_TEXT_MAX - 1;
	memcpy(to, text.at, text.bytes);
	to[text.bytes] = '\0';
}

/* What the ini says, else the standard. */
static void show_given(
	const struct kv_option *option, char to[KV_OPTION_TEXT_MAX])
{
	const char *setting =
		option->ini != NULL ? kv_env->setting(option->ini) : NULL;

	if (setting != NULL && option->kind->from_ini != NULL)
		option->kind->from_ini(setting, to);
	else
		copy(to, text_of(setting != NULL ? setting : option->standard));
}

static void show_kept(
	const struct kv_option *option, char to[KV_OPTION_TEXT_MAX])
{
	struct rf_item value;

	if (rf_map_get(&kv_records()->kept, option->name, strlen(option->name),
		    &value))
		copy(to, value.text);
	else
		show_given(option, to);
}

void kv_option_show(const struct kv_option *option, char to[KV_OPTION_TEXT_MAX])
{
	switch (option->place) {
	case KV_OF_SETTINGS:
		option->kind->show(option, *field_of(option), to);
		break;
	case KV_OF_INI:
		show_given(option, to);
		break;
	case KV_KEPT:
	case KV_HIDDEN:
		show_kept(option, to);
		break;
	case KV_PASSWORD:
		copy(to, kv_auth_password());
		break;
	}
}

/* ---- what it may become ---- */

const char *kv_option_flaw(const struct kv_option *option, struct rf_bytes text)
{
	static int64_t value; /* is read again by kv_option_set */
	char now[KV_OPTION_TEXT_MAX];

	if (option->place == KV_OF_INI) {
		kv_option_show(option, now);
		if (kv_is(text, now))
			return NULL;
		return option->kind->refusal != NULL
			       ? option->kind->refusal
			       : "can't set immutable config";
	}
	if (text.bytes >= KV_OPTION_TEXT_MAX)
		return "argument is too long";
	if (option->kind->read == NULL)
		return NULL;
	return option->kind->read(option, text, &value);
}

void kv_option_set(const struct kv_option *option, struct rf_bytes text)
{
	int64_t value = 0;
	char shown[KV_OPTION_TEXT_MAX];

	if (option->kind->read != NULL)
		option->kind->read(option, text, &value);
	switch (option->place) {
	case KV_OF_SETTINGS:
		RF_SET(*field_of(option), value);
		break;
	case KV_OF_INI:
		break;
	case KV_KEPT:
	case KV_HIDDEN:
		if (option->kind->show != NULL)
			option->kind->show(option, value, shown);
		else
			copy(shown, text);
		rf_map_put(&kv_records()->kept, option->name,
			strlen(option->name), shown, strlen(shown));
		break;
	case KV_PASSWORD:
		kv_auth_set_password(text);
		break;
	}
}

/* ---- in effect ---- */

void kv_settings_create(void)
{
	char text[KV_OPTION_TEXT_MAX];

	for (size_t i = 0; i < kv_option_count; i++) {
		if (kv_options[i].place != KV_OF_SETTINGS)
			continue;
		show_given(&kv_options[i], text);
		if (kv_option_flaw(&kv_options[i], text_of(text)) != NULL)
			copy(text, text_of(kv_options[i].standard));
		kv_option_set(&kv_options[i], text_of(text));
	}
	rf_history_resize(
		&kv_records()->slowlog, (uint32_t)kv_settings->slowlog_max_len);
}

static uint32_t limit(uint64_t value)
{
	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* -1 .. -5: 4 KiB, 8, ... 64; from 1 on a number of items. */
static int64_t list_limit(int64_t size)
{
	static const int64_t kib[] = {4, 8, 16, 32, 64};

	if (size > 0)
		return -size;
	if (size < -5)
		size = -5;
	return size == 0 ? -1 : kib[-size - 1] * 1024;
}

size_t kv_setting_bytes_max(void)
{
	static const char name[] = "proto-max-bulk-len";
	const struct kv_option *option = kv_option_find(text_of(name));
	char text[KV_OPTION_TEXT_MAX];
	int64_t request, most = STRING_BYTES_MAX;

	if (kv_settings != NULL)
		most = (int64_t)kv_settings->string_bytes_max;
	show_given(option, text);
	if (option->kind->read(option, text_of(text), &request) == NULL &&
		request < most)
		most = request;
	return (size_t)most;
}

void kv_settings_apply(void)
{
	const struct kv_settings *s = kv_settings;

	rf_map_limits(limit(s->hash_entries), limit(s->hash_bytes));
	rf_sorted_limits(limit(s->zset_entries), limit(s->zset_bytes));
	rf_set_limit(limit(s->set_ints));
	rf_list_limit(list_limit(s->list_size));
	kv_string_bytes_max = kv_setting_bytes_max();
}
