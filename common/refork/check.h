/* SPDX-License-Identifier: MIT */
/* check.h -- conditions that hold unless this process is broken. */
#ifndef REFORK_CHECK_H
#define REFORK_CHECK_H

#ifdef __cplusplus
#define RF_API	    extern "C" __attribute__((visibility("default")))
#define RF_API_DATA RF_API
#define _Static_assert static_assert
#define _Noreturn __attribute__((noreturn))
#else
#define RF_API	    __attribute__((visibility("default")))
#define RF_API_DATA RF_API extern
#endif

#define rf_likely(x)   __builtin_expect(!!(x), 1)
#define rf_unlikely(x) __builtin_expect(!!(x), 0)

/* Abort this process when `cond` is false, in release builds too. In a
 * business child that is safe: its successor starts from the last commit.
 * Never for bytes that a client, a file or another process wrote. */
#define RF_CHECK(cond)                                                         \
	(rf_likely(cond) ? (void)0 : rf_check_failed(#cond, __FILE__, __LINE__))

RF_API _Noreturn void rf_check_failed(
	const char *cond, const char *file, int line);

#endif
