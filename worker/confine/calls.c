/* SPDX-License-Identifier: MIT */
/* calls.c -- which system calls a role may make, and what for.
 *
 * network   an allow-list. It parses what strangers send; what it needs is
 *           known. Anything else is a bug or an attacker, and ends the process
 * basic     a deny-list, for a worker whose needs are not known: nothing that
 *           starts programs, reaches into other processes or changes the
 *           machine
 * strict    basic, and no new sockets
 *
 * A libc may be another than the one that this was written with: whatever a
 * libc does to allocate, sleep, log or handle signals is allowed in all its
 * forms, older and newer; and what it only tries (to open a file) is answered
 * with an errno, and not with the end.
 */
#include "calls.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* What only one kind of machine has. */
#if defined(__x86_64__)
#define OLD(name) SYS_##name
#else
#define OLD(name) -1
#endif

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define ANY	    0, {{0}}, 0
#define CLONE_NEW_ANY                                                          \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |         \
		CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

/* Rows, all for the reason that stands above them. */
#define ALLOW(call)                                                            \
	{                                                                      \
		SYS_##call, CALL_ALLOW, ANY                                    \
	}
#define ALLOW_OLD(call)                                                        \
	{                                                                      \
		OLD(call), CALL_ALLOW, ANY                                     \
	}
#define REFUSE(call)                                                           \
	{                                                                      \
		SYS_##call, CALL_REFUSE, ANY                                   \
	}
#define REFUSE_OLD(call)                                                       \
	{                                                                      \
		OLD(call), CALL_REFUSE, ANY                                    \
	}
#define DO_WITHOUT(call)                                                       \
	{                                                                      \
		SYS_##call, CALL_REFUSE, EACCES, {{0}}, 0                      \
	}
#define DO_WITHOUT_OLD(call)                                                   \
	{                                                                      \
		OLD(call), CALL_REFUSE, EACCES, {{0}}, 0                       \
	}
/* Allowed when argument `arg` has `value` under `mask`; else `error`. */
#define ALLOW_IF(call, error, arg, mask, value)                                \
	{                                                                      \
		SYS_##call, CALL_ALLOW, error, {{arg, mask, value}}, 1         \
	}
#define ALLOW_IF2(call, error, arg, mask, value, arg2, mask2, value2)          \
	{                                                                      \
		SYS_##call, CALL_ALLOW, error,                                 \
			{{arg, mask, value}, {arg2, mask2, value2}}, 2         \
	}
#define ALL ~0u

/* clang-format off */
static const struct call network[] = {
	/* clients: read, write, accept, close */
	ALLOW(read), ALLOW(readv), ALLOW(recvfrom), ALLOW(recvmsg),
	ALLOW(recvmmsg),
	ALLOW(write), ALLOW(writev), ALLOW(sendto), ALLOW(sendmsg),
	ALLOW(sendmmsg),
	ALLOW(accept), ALLOW(accept4), ALLOW(close), ALLOW(close_range),
	ALLOW(shutdown), ALLOW(listen), /* a reload may change the backlog */
	ALLOW(getpeername), ALLOW(getsockname), ALLOW(getsockopt),
	ALLOW_IF2(setsockopt, 0, 1, ALL, SOL_SOCKET, 2, ALL, SO_KEEPALIVE),
	ALLOW_IF2(setsockopt, 0, 1, ALL, SOL_SOCKET, 2, ALL, SO_OOBINLINE),
	ALLOW_IF2(setsockopt, 0, 1, ALL, SOL_SOCKET, 2, ALL, SO_LINGER),
	ALLOW_IF2(setsockopt, 0, 1, ALL, SOL_SOCKET, 2, ALL, SO_SNDBUF),
	ALLOW_IF2(setsockopt, 0, 1, ALL, SOL_SOCKET, 2, ALL, SO_RCVBUF),
	ALLOW_IF2(setsockopt, 0, 1, ALL, IPPROTO_TCP, 2, ALL, TCP_NODELAY),
	ALLOW_IF2(setsockopt, 0, 1, ALL, IPPROTO_TCP, 2, ALL, TCP_KEEPIDLE),
	ALLOW_IF2(setsockopt, 0, 1, ALL, IPPROTO_TCP, 2, ALL, TCP_KEEPINTVL),
	ALLOW_IF2(setsockopt, 0, 1, ALL, IPPROTO_TCP, 2, ALL, TCP_KEEPCNT),
	ALLOW_IF2(setsockopt, 0, 1, ALL, IPPROTO_TCP, 2, ALL, TCP_USER_TIMEOUT),
	/* what is unread and unacknowledged; libc asks whether stderr is a
	 * terminal */
	ALLOW_IF(ioctl, ENOTTY, 1, ALL, SIOCINQ),
	ALLOW_IF(ioctl, ENOTTY, 1, ALL, SIOCOUTQ),
	ALLOW_IF(ioctl, ENOTTY, 1, ALL, FIONBIO),
	ALLOW_IF(ioctl, ENOTTY, 1, ALL, TCGETS),
	ALLOW_IF(fcntl, EPERM, 1, ALL, F_GETFD),
	ALLOW_IF(fcntl, EPERM, 1, ALL, F_SETFD),
	ALLOW_IF(fcntl, EPERM, 1, ALL, F_GETFL),
	ALLOW_IF(fcntl, EPERM, 1, ALL, F_SETFL),
	ALLOW_IF(fcntl, EPERM, 1, ALL, F_DUPFD_CLOEXEC),
	/* nobody to talk to but who is given; the log's socket is connected,
	 * and stays so (libc would ask a name service) */
	DO_WITHOUT(socket), DO_WITHOUT(connect), ALLOW(pipe2),
	/* the loop: what is ready, the bells, time */
	ALLOW_OLD(epoll_create), ALLOW(epoll_create1), ALLOW(epoll_ctl),
	ALLOW_OLD(epoll_wait), ALLOW(epoll_pwait), ALLOW(epoll_pwait2),
	ALLOW_OLD(poll), ALLOW(ppoll), ALLOW_OLD(select), ALLOW(pselect6),
	ALLOW(eventfd2), ALLOW(timerfd_create), ALLOW(timerfd_settime),
	ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(gettimeofday),
	ALLOW_OLD(time), ALLOW(nanosleep), ALLOW(clock_nanosleep),
	/* memory: buffers, the front segment; nothing new that can be run */
	ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
	ALLOW(mlock), ALLOW(mlock2), ALLOW(munlock), ALLOW(msync),
	ALLOW_IF(mmap, EACCES, 2, PROT_EXEC, 0),
	ALLOW_IF(mprotect, EACCES, 2, PROT_EXEC, 0),
	ALLOW(fallocate), ALLOW(ftruncate), ALLOW(lseek), ALLOW(fstat),
	/* a successor of itself or of the vault, and nothing else */
	ALLOW_IF(clone, 0, 0, ~(uint32_t)(CLONE_CHILD_SETTID |
					  CLONE_CHILD_CLEARTID),
		CLONE_FILES | CLONE_PARENT | SIGCHLD),
	{SYS_clone3, CALL_REFUSE, ENOSYS, {{0}}, 0},
	ALLOW(setpgid), ALLOW(getppid), ALLOW(getpid), ALLOW(gettid),
	ALLOW(getpgid), ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid),
	ALLOW(getegid),
	ALLOW_IF(prctl, EINVAL, 0, ALL, PR_SET_PDEATHSIG),
	ALLOW_IF(prctl, EINVAL, 0, ALL, PR_SET_NAME),
	ALLOW_IF(prctl, EINVAL, 0, ALL, PR_GET_NAME),
	ALLOW_IF(prctl, EINVAL, 0, ALL, PR_GET_TID_ADDRESS),
	ALLOW_IF(prctl, EINVAL, 0, ALL, PR_SET_VMA),
	/* its own limit of open files, and nobody else's */
	ALLOW_IF(prlimit64, EPERM, 0, ALL, 0),
	ALLOW(getrlimit), ALLOW(setrlimit),
	/* threads of libc's, orders: wait and wake */
	ALLOW(futex), ALLOW(set_robust_list), ALLOW(get_robust_list),
	ALLOW(set_tid_address), ALLOW(rseq), ALLOW(sched_yield),
	ALLOW(sched_getaffinity), ALLOW(getcpu), ALLOW(restart_syscall),
	/* signals, and the last words of a crash */
	ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn),
	ALLOW(rt_sigpending), ALLOW(sigaltstack), ALLOW(tgkill),
	ALLOW(process_vm_readv), /* landlock keeps it to itself */
	ALLOW(exit), ALLOW(exit_group),
	/* libc's housekeeping */
	ALLOW(getrandom), ALLOW(uname), ALLOW(sysinfo), ALLOW(getrusage),
	ALLOW(times), ALLOW(membarrier),
	/* directories, to find its descriptors in /proc/self/fd; a file that
	 * libc would like to see (a time zone, the number of processors) is
	 * not there for it */
	ALLOW_IF(openat, EACCES, 2, O_ACCMODE | O_DIRECTORY | O_CREAT,
		O_RDONLY | O_DIRECTORY),
	ALLOW(getdents64), ALLOW(newfstatat), ALLOW(statx),
	DO_WITHOUT_OLD(open), DO_WITHOUT_OLD(stat), DO_WITHOUT_OLD(lstat),
	DO_WITHOUT_OLD(access), DO_WITHOUT(faccessat), DO_WITHOUT(faccessat2),
	DO_WITHOUT(openat2), DO_WITHOUT_OLD(readlink), DO_WITHOUT(readlinkat),
	DO_WITHOUT(statfs),
};

#define BASIC                                                                  \
	/* other programs */                                                   \
	REFUSE(execve), REFUSE(execveat), REFUSE_OLD(uselib),                  \
	/* other processes: their memory, their descriptors, their time */     \
	REFUSE(ptrace), REFUSE(process_vm_writev), REFUSE(process_madvise),    \
	REFUSE(pidfd_getfd), REFUSE(kcmp), REFUSE(migrate_pages),              \
	REFUSE(move_pages),                                                    \
	/* another user, other rights */                                       \
	REFUSE(setuid), REFUSE(setgid), REFUSE(setreuid), REFUSE(setregid),    \
	REFUSE(setresuid), REFUSE(setresgid), REFUSE(setgroups),               \
	REFUSE(setfsuid), REFUSE(setfsgid),                                    \
	/* another view of the machine */                                      \
	REFUSE(unshare), REFUSE(setns), REFUSE(chroot), REFUSE(pivot_root),    \
	REFUSE(mount), REFUSE(umount2), REFUSE(move_mount), REFUSE(open_tree), \
	REFUSE(fsopen), REFUSE(fsconfig), REFUSE(fsmount), REFUSE(fspick),     \
	REFUSE(mount_setattr), REFUSE(open_by_handle_at),                      \
	ALLOW_IF(clone, 0, 0, CLONE_NEW_ANY, 0),                               \
	/* the machine itself */                                               \
	REFUSE(reboot), REFUSE(kexec_load), REFUSE(kexec_file_load),           \
	REFUSE(init_module), REFUSE(finit_module), REFUSE(delete_module),      \
	REFUSE(swapon), REFUSE(swapoff), REFUSE(sethostname),                  \
	REFUSE(setdomainname), REFUSE(settimeofday), REFUSE(clock_settime),    \
	REFUSE(clock_adjtime), REFUSE(adjtimex), REFUSE(acct),                 \
	REFUSE(quotactl), REFUSE(quotactl_fd), REFUSE(syslog),                 \
	REFUSE(vhangup), REFUSE_OLD(iopl), REFUSE_OLD(ioperm),                 \
	REFUSE_OLD(modify_ldt), REFUSE(fanotify_init),                         \
	/* large parts of the kernel that a worker has no use for */           \
	REFUSE(bpf), REFUSE(perf_event_open), REFUSE(userfaultfd),             \
	REFUSE(add_key), REFUSE(keyctl), REFUSE(request_key),                  \
	REFUSE(lookup_dcookie),                                                \
	/* libraries try these and have another way: what is asked for stands  \
	 * in memory, where a filter cannot look; what a ring does passes by   \
	 * any filter */                                                       \
	{SYS_clone3, CALL_REFUSE, ENOSYS, {{0}}, 0},                           \
	{SYS_io_uring_setup, CALL_REFUSE, ENOSYS, {{0}}, 0},                   \
	{SYS_io_uring_enter, CALL_REFUSE, ENOSYS, {{0}}, 0},                   \
	{SYS_io_uring_register, CALL_REFUSE, ENOSYS, {{0}}, 0}

static const struct call basic[] = {BASIC};

static const struct call strict[] = {BASIC,
	/* nobody to talk to but clients, through the channel; nor may the
	 * log's socket lead elsewhere */
	REFUSE(socket), REFUSE(connect), REFUSE(bind), REFUSE(listen),
	REFUSE(accept), REFUSE(accept4),
};
/* clang-format on */

const struct calls calls_network = {network, COUNT(network), CALL_REFUSE};
const struct calls calls_basic = {basic, COUNT(basic), CALL_ALLOW};
const struct calls calls_strict = {strict, COUNT(strict), CALL_ALLOW};
