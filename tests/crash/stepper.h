/* SPDX-License-Identifier: MIT */
/* stepper.h -- a child that is run one instruction at a time. */
#ifndef STEPPER_H
#define STEPPER_H

#include <stdbool.h>
#include <sys/types.h>

struct stepper {
	pid_t pid;
	bool started;
};

enum stepper_stop {
	STEPPER_STEPPED, /* one instruction further */
	STEPPER_MARK,	 /* at its next mark */
	STEPPER_DIED	 /* stepper_death() says how */
};

/* Fork a child that calls run(arg) and waits at its first mark to be run. It
 * dies with its parent. 0 or -errno. */
int stepper_start(struct stepper *stepper, void (*run)(void *arg), void *arg);

/* In the child: stop until the parent goes on with it. */
void stepper_mark(void);

/* Run at full speed to the next mark: STEPPER_MARK or STEPPER_DIED. */
enum stepper_stop stepper_run(struct stepper *stepper);

/* Run one instruction; one round of a repeated one. ~15 us. */
enum stepper_stop stepper_step(struct stepper *stepper);

/* How it died: "was ended by Aborted". Static memory. */
const char *stepper_death(void);
/* The same for any status of waitpid(). */
const char *stepper_words(int status);

void stepper_end(struct stepper *stepper);

/* NULL, or why none of this works here. */
const char *stepper_refused(void);

/* Keep this process and its children on one processor: they step faster. */
void stepper_stay(void);

/* Call first in main(). Has libc copy memory in a way that takes few steps;
 * for that the program starts anew, once. */
void stepper_settle(char **argv);

#endif
