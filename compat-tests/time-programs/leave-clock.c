/* Preloaded into a time daemon: the clock is read as ever, and left alone by what would set it, which reports success.
 * For daemons that end when they may not set it. */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

int clock_adjtime(clockid_t clock, struct timex *request)
{
	unsigned int modes = request->modes;
	request->modes = 0;
	int state = (int) syscall(SYS_clock_adjtime, clock, request);
	request->modes = modes;
	return state;
}

int adjtimex(struct timex *request) { return clock_adjtime(CLOCK_REALTIME, request); }

int ntp_adjtime(struct timex *request) { return adjtimex(request); }

int adjtime(const struct timeval *delta, struct timeval *left)
{
	(void) delta;
	if (left != NULL)
		left->tv_sec = left->tv_usec = 0;
	return 0;
}

int clock_settime(clockid_t clock, const struct timespec *time)
{
	(void) clock, (void) time;
	return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone)
{
	(void) time, (void) zone;
	return 0;
}
