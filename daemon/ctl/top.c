/* SPDX-License-Identifier: MIT */
/* top.c -- a live view: the status page, sparks, the last crashes.
 *
 * The page and the list of crashes are the daemon's own (page.c, crashes.c);
 * the sparks are made here. Keys: q quits, p pauses, + and - look more or less
 * often. Without a terminal it shows one look and says so.
 */
#include "ask.h"
#include "top_page.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY_MS_MIN	100
#define EVERY_MS_MAX	60000
#define KEY_REPAINT	('L' & 037) /* control-L, as everywhere */
#define KEY_WAIT_MS	100
#define CRASH_LINES_MAX 64
#define PLAIN_COLUMNS	80

struct top {
	struct ctl *ctl;
	struct top_history history;
	bool ascii, paused;
	int64_t every_ms, next_ms;
	char *page, *crashes; /* what the daemon said; NULL: nothing */
	char flaw[160];	      /* why it did not; "": it did */
};

static volatile sig_atomic_t ended_by;

static void on_signal(int number)
{
	ended_by = number;
}

/* ---- a look ---- */

/* Keep the answer; the last one stays when there is none. */
static int fetch(
	struct top *t, const char *verb, const char *format, char **kept)
{
	int rc = ask(t->ctl, verb, format, NULL, ASK_WAIT_MS);

	if (rc)
		return rc;
	free(*kept);
	*kept = t->ctl->answer;
	t->ctl->answer = NULL;
	return 0;
}

static int look(struct top *t)
{
	int rc = ask(t->ctl, "status", "json", NULL, ASK_WAIT_MS);

	if (!rc) {
		top_sample(&t->history, t->ctl->answer, ask_now_ms());
		rc = fetch(t, "status", "text", &t->page);
	}
	if (!rc && fetch(t, "crashes", "color", &t->crashes))
		free(t->crashes), t->crashes = NULL;
	snprintf(t->flaw, sizeof(t->flaw), "%s",
		rc < 0	 ? strerror(-rc)
		: rc > 0 ? t->ctl->answer
			 : "");
	return rc;
}

static void write_first_lines(const char *text, FILE *out)
{
	for (int i = 0; i < CRASH_LINES_MAX && *text; i++) {
		size_t bytes = strcspn(text, "\n");

		bytes += text[bytes] == '\n';
		fwrite(text, 1, bytes, out);
		text += bytes;
	}
}

static void write_lines(const struct top *t, int columns, FILE *out)
{
	if (t->page)
		fputs(t->page, out);
	putc('\n', out);
	top_series_lines(&t->history, columns, t->ascii, out);
	putc('\n', out);
	if (t->crashes)
		write_first_lines(t->crashes, out);
}

static enum ctl_exit show_once(struct top *t, const struct command *command)
{
	int rc = look(t);

	if (rc)
		return ask_failed(t->ctl, command->name, rc);
	if (t->ctl->json) {
		rc = ask(t->ctl, "status", "json", NULL, ASK_WAIT_MS);
		if (rc)
			return ask_failed(t->ctl, command->name, rc);
		fputs(t->ctl->answer, stdout);
		return CTL_OK;
	}
	puts("Not a terminal: one look.");
	write_lines(t, PLAIN_COLUMNS, stdout);
	return CTL_OK;
}

/* ---- the screen ---- */

static void draw_footer(const struct top *t)
{
	move(LINES - 1, 0);
	clrtoeol();
	attron(A_REVERSE);
	if (*t->flaw)
		printw(" no answer: %s; trying again ", t->flaw);
	else
		printw(" every %.1f s%s ", (double)t->every_ms / 1000,
			t->paused ? ", paused" : "");
	attroff(A_REVERSE);
	addstr("  q quit  p pause  + faster  - slower");
}

/* Cut at the edge: a line that goes on would push the others down. */
static void put_line(int row, const char *line)
{
	wchar_t wide[TOP_SAMPLE_COUNT];
	size_t count = mbstowcs(wide, line, TOP_SAMPLE_COUNT);

	if (row == 0)
		attron(A_BOLD);
	if (count != (size_t)-1)
		mvaddnwstr(row, 0, wide, (int)count < COLS ? (int)count : COLS);
	else
		mvaddnstr(row, 0, line, COLS);
	attroff(A_BOLD);
}

static void draw(const struct top *t)
{
	char *text = NULL, *rest;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	int row = 0;

	if (!out)
		return;
	write_lines(t, COLS - 1, out);
	if (fclose(out))
		return;
	erase();
	rest = text;
	while (rest && row < LINES - 1)
		put_line(row++, strsep(&rest, "\n"));
	draw_footer(t);
	refresh();
	free(text);
}

static void change_pace(struct top *t, bool faster)
{
	t->every_ms = faster ? t->every_ms / 2 : t->every_ms * 2;
	if (t->every_ms < EVERY_MS_MIN)
		t->every_ms = EVERY_MS_MIN;
	if (t->every_ms > EVERY_MS_MAX)
		t->every_ms = EVERY_MS_MAX;
	t->next_ms = 0;
}

/* False: it is over. */
static bool on_key(struct top *t, int key)
{
	if (key == 'q' || key == 'Q')
		return false;
	if (key == 'p' || key == ' ')
		t->paused = !t->paused;
	else if (key == '+' || key == '=')
		change_pace(t, true);
	else if (key == '-')
		change_pace(t, false);
	else if (key == KEY_REPAINT)
		clearok(stdscr, TRUE);
	if (key != ERR)
		draw(t);
	return true;
}

static void run_screen(struct top *t)
{
	const struct sigaction ends = {.sa_handler = on_signal};

	initscr();
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	timeout(KEY_WAIT_MS);
	sigaction(SIGINT, &ends, NULL);
	sigaction(SIGTERM, &ends, NULL);
	sigaction(SIGHUP, &ends, NULL);
	do {
		if (!t->paused && ask_now_ms() >= t->next_ms) {
			look(t);
			t->next_ms = ask_now_ms() + t->every_ms;
			draw(t);
		}
	} while (on_key(t, getch()) && !ended_by);
	endwin();
}

enum ctl_exit run_top(struct ctl *ctl, const struct command *command)
{
	static struct top t;

	setlocale(LC_ALL, "");
	t.ctl = ctl;
	t.every_ms =
		ctl->every_ms < EVERY_MS_MIN ? EVERY_MS_MIN : ctl->every_ms;
	t.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	if (ctl->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return show_once(&t, command);
	/* Nothing to look at is better said before the screen is cleared. */
	if (look(&t))
		return show_once(&t, command);
	run_screen(&t);
	free(t.page);
	free(t.crashes);
	return CTL_OK;
}
