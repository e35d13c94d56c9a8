/* SPDX-License-Identifier: MIT */
/* fuzz_ini.c -- any bytes as an ini file, and as an override.
 *
 * Beyond not crashing: a configuration that was accepted, printed and read
 * again is the same, and a refused one comes with a problem per count.
 */
#include "conf/conf.h"

#include <refork/check.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void reads_back_the_same(const struct conf *conf)
{
	struct conf again;
	char *text = NULL;
	size_t text_bytes;
	FILE *out = open_memstream(&text, &text_bytes), *in;

	conf_print(conf, out);
	fclose(out);
	in = fmemopen(text, text_bytes, "r");
	RF_CHECK(conf_load_stream(&again, in, "again", NULL, 0, stderr) == 0);
	RF_CHECK(memcmp(conf, &again, sizeof(again)) == 0);
	fclose(in);
	free(text);
}

static void load(
	FILE *in, const struct conf_override *overrides, int override_count)
{
	struct conf conf;
	char *text = NULL;
	size_t text_bytes;
	FILE *problems = open_memstream(&text, &text_bytes);
	int count = conf_load_stream(
		&conf, in, "ini", overrides, override_count, problems);

	fclose(problems);
	for (char *c = text; *c; c++)
		count -= *c == '\n';
	RF_CHECK(count == 0);
	if (text_bytes == 0)
		reads_back_the_same(&conf);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *text = calloc(1, bytes + 1);
	struct conf_override override = {text};
	FILE *in;

	memcpy(text, data, bytes);
	in = fmemopen(text, bytes, "r");
	load(in, NULL, 0);
	if (in)
		fclose(in);
	load(NULL, &override, 1);
	free(text);
	return 0;
}
