/* SPDX-License-Identifier: MIT */
/* format.h -- the forms in which an answer is given. */
#ifndef FORMAT_H
#define FORMAT_H

enum report_format {
	REPORT_TEXT,
	REPORT_COLOR,
	REPORT_JSON,
	REPORT_FORMAT_COUNT
};

#endif
