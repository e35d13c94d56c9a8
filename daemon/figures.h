/* SPDX-License-Identifier: MIT */
/* figures.h -- numbers as people read them. */
#ifndef FIGURES_H
#define FIGURES_H

#include <stdint.h>
#include <stdio.h>

void put_count(FILE *out, uint64_t n);	     /* 1,204,000 */
void put_bytes(FILE *out, uint64_t bytes);   /* 1.64 GiB */
void put_duration(FILE *out, uint64_t s);    /* 3d 4h */
void put_rate(FILE *out, double per_second); /* 58.2k */
void put_ms(FILE *out, int64_t us);	     /* 0.21 ms */

#endif
