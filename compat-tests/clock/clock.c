/*
 * A simulated clock for an unmodified daemon, preloaded into it. CLOCK_REALTIME is the machine's own plus an offset
 * that only the daemon's calls change: adjtimex() and its kin set frequency and offset of the simulation, never those of
 * the machine. Kernel timestamps of datagrams are moved by the offset that was in force when they were taken.
 *
 * With the variable CARD an interface gets a network card that takes timestamps by a clock of its own, /dev/ptp0: 37 s ahead
 * of the machine's, whatever happens to the simulated one.
 *
 * The history of the offset is in a shared file (variable CLOCK_FILE), so that a test can read it, and that a second
 * program, such as date, can step the clock behind the daemon's back.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/ptp_clock.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MAX_PIECES 65536
#define CARD_AHEAD (37 * SECOND)

/* From a real time on: offset then, and how much it grows a second. */
struct piece {
	int64_t from, offset;
	double rate;
};

/* A reader looks at `count` pieces, which don't change any more; only who has the lock adds one. */
struct history {
	_Atomic uint32_t count, lock;
	struct piece pieces[MAX_PIECES];
};

static struct history *history;
static struct timex kernel = { .tick = 10000, .status = STA_UNSYNC, .maxerror = 16000000, .esterror = 16000000 };

/* The interface that has a card; its clock, when it is open. */
static const char *card;
static _Atomic int card_clock = -1;

static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_settime)(clockid_t, const struct timespec *);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);
static int (*real_recvmmsg)(int, struct mmsghdr *, unsigned int, int, struct timespec *);

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "simulated clock: %s: %s\n", what, strerror(errno));
	abort();
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("CLOCK_FILE");
	card = getenv("CARD");
	real_open = dlsym(RTLD_NEXT, "open64");
	real_ioctl = dlsym(RTLD_NEXT, "ioctl");
	int file = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
	if (file < 0)
		die("CLOCK_FILE");
	real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	real_settime = dlsym(RTLD_NEXT, "clock_settime");
	real_recvmsg = dlsym(RTLD_NEXT, "recvmsg");
	real_recvmmsg = dlsym(RTLD_NEXT, "recvmmsg");
	history = mmap(NULL, sizeof *history, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (history == MAP_FAILED || !atomic_load(&history->count))
		die("no history");
	close(file);
}

static int64_t nanos(const struct timespec *time)
{
	return time->tv_sec * SECOND + time->tv_nsec;
}

static struct timespec timespec(int64_t nanos)
{
	struct timespec time = { nanos / SECOND, nanos % SECOND };
	if (time.tv_nsec < 0) {
		time.tv_nsec += SECOND;
		time.tv_sec--;
	}
	return time;
}

static int64_t machine(void)
{
	struct timespec time;
	real_gettime(CLOCK_REALTIME, &time);
	return nanos(&time);
}

/* What the simulated clock shows at a time of the machine's. */
static int64_t simulated(int64_t real)
{
	uint32_t at = atomic_load_explicit(&history->count, memory_order_acquire) - 1;
	while (at > 0 && history->pieces[at].from > real)
		at--;
	const struct piece *piece = &history->pieces[at];
	return real + piece->offset + (int64_t)(piece->rate * (double)(real - piece->from));
}

/* From now on another rate (the same for NULL), and the clock `step` later. */
static void change(const double *rate, int64_t step)
{
	while (atomic_exchange_explicit(&history->lock, 1, memory_order_acquire))
		;
	uint32_t count = atomic_load(&history->count);
	if (count == MAX_PIECES)
		die("too many changes");
	int64_t real = machine();
	history->pieces[count] = (struct piece){
		real, simulated(real) - real + step, rate ? *rate : history->pieces[count - 1].rate
	};
	atomic_store_explicit(&history->count, count + 1, memory_order_release);
	atomic_store_explicit(&history->lock, 0, memory_order_release);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
		return real_gettime(clock, time);
	*time = timespec(simulated(machine()));
	return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now = timespec(simulated(machine()));
	(void)zone;
	*time = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *out)
{
	time_t now = timespec(simulated(machine())).tv_sec;
	if (out)
		*out = now;
	return now;
}

int clock_settime(clockid_t clock, const struct timespec *time)
{
	if (clock != CLOCK_REALTIME)
		return real_settime(clock, time);
	change(NULL, nanos(time) - simulated(machine()));
	return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone)
{
	(void)zone;
	struct timespec wanted = { time->tv_sec, time->tv_usec * 1000 };
	return clock_settime(CLOCK_REALTIME, &wanted);
}

int adjtimex(struct timex *values)
{
	unsigned modes = values->modes;
	/* An adjtime() to be ended or read; there is none. */
	if ((modes & ADJ_OFFSET_SINGLESHOT) == ADJ_OFFSET_SINGLESHOT)
		modes = 0;
	if (modes & ADJ_FREQUENCY)
		kernel.freq = values->freq;
	if (modes & ADJ_TICK)
		kernel.tick = values->tick;
	if (modes & ADJ_MAXERROR)
		kernel.maxerror = values->maxerror;
	if (modes & ADJ_ESTERROR)
		kernel.esterror = values->esterror;
	if (modes & ADJ_STATUS)
		kernel.status = values->status;
	if (modes & ADJ_TIMECONST)
		kernel.constant = values->constant;
	if (modes & ADJ_TAI)
		kernel.tai = values->constant;
	int64_t step = 0;
	if (modes & ADJ_SETOFFSET)
		step = values->time.tv_sec * SECOND + values->time.tv_usec * (modes & ADJ_NANO ? 1 : 1000);
	if (modes & (ADJ_FREQUENCY | ADJ_TICK | ADJ_SETOFFSET)) {
		double rate = (double)kernel.freq / 65536e6 + (double)(kernel.tick - 10000) / 10000;
		change(&rate, step);
	}
	*values = kernel;
	values->modes = modes;
	values->precision = 1;
	struct timespec now = timespec(simulated(machine()));
	values->time = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return kernel.status & STA_UNSYNC ? TIME_ERROR : TIME_OK;
}

int ntp_adjtime(struct timex *values)
{
	return adjtimex(values);
}

int clock_adjtime(clockid_t clock, struct timex *values)
{
	if (clock == CLOCK_REALTIME)
		return adjtimex(values);
	errno = EINVAL;
	return -1;
}

int open64(const char *path, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	mode_t mode = va_arg(more, mode_t);
	va_end(more);
	if (!card || strcmp(path, "/dev/ptp0"))
		return real_open(path, flags, mode);
	return card_clock = real_open("/dev/null", flags, mode);
}

/* What the clock of the card shows at a time of the machine's. */
static struct ptp_clock_time by_card(int64_t real)
{
	return (struct ptp_clock_time){ .sec = (real + CARD_AHEAD) / SECOND, .nsec = (real + CARD_AHEAD) % SECOND };
}

/* Both clocks in turn: ours, the card's, ours. */
static int read_card(struct ptp_sys_offset_extended *readings)
{
	for (unsigned i = 0; i < readings->n_samples && i < PTP_MAX_SAMPLES; i++) {
		int64_t before = machine(), between = machine(), after = machine();
		struct timespec first = timespec(simulated(before)), last = timespec(simulated(after));
		readings->ts[i][0] = (struct ptp_clock_time){ .sec = first.tv_sec, .nsec = first.tv_nsec };
		readings->ts[i][1] = by_card(between);
		readings->ts[i][2] = (struct ptp_clock_time){ .sec = last.tv_sec, .nsec = last.tv_nsec };
	}
	return 0;
}

/* What the card can do; its link has 1000 Mbit/s. */
static int describe_card(void *request)
{
	const int flags = SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;
	struct ethtool_ts_info *info = request;
	if (info->cmd == ETHTOOL_GET_TS_INFO) {
		*info = (struct ethtool_ts_info){ .cmd = info->cmd, .so_timestamping = flags, .phc_index = 0,
			.tx_types = 1 << HWTSTAMP_TX_ON, .rx_filters = 1 << HWTSTAMP_FILTER_ALL };
		return 0;
	}
	struct ethtool_cmd *link = request;
	if (link->cmd == ETHTOOL_GSET) {
		*link = (struct ethtool_cmd){ .cmd = link->cmd, .speed = 1000 };
		return 0;
	}
	errno = EOPNOTSUPP;
	return -1;
}

int ioctl(int file, unsigned long number, ...)
{
	va_list more;
	va_start(more, number);
	void *data = va_arg(more, void *);
	va_end(more);
	if (card && file == card_clock) {
		if (number == PTP_SYS_OFFSET_EXTENDED)
			return read_card(data);
		errno = EOPNOTSUPP;
		return -1;
	}
	if (card && (number == SIOCETHTOOL || number == SIOCSHWTSTAMP)) {
		struct ifreq *request = data;
		if (!strcmp(request->ifr_name, card))
			return number == SIOCETHTOOL ? describe_card(request->ifr_data) : 0;
	}
	return real_ioctl(file, number, data);
}

/*
 * Moves the software timestamps of a datagram. Zero stands for none. The card has taken one just then, and of what was
 * sent it is the only one.
 */
static void move_stamps(struct msghdr *message, int sent)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET)
			continue;
		if (part->cmsg_type == SO_TIMESTAMPING || part->cmsg_type == SO_TIMESTAMPNS) {
			struct timespec stamp;
			memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
			if (stamp.tv_sec && card && part->cmsg_len >= CMSG_LEN(3 * sizeof stamp)) {
				struct ptp_clock_time taken = by_card(nanos(&stamp));
				struct timespec hardware = { taken.sec, taken.nsec };
				memcpy(CMSG_DATA(part) + 2 * sizeof stamp, &hardware, sizeof hardware);
			}
			if (stamp.tv_sec && card && sent) {
				memset(CMSG_DATA(part), 0, sizeof stamp);
			} else if (stamp.tv_sec) {
				stamp = timespec(simulated(nanos(&stamp)));
				memcpy(CMSG_DATA(part), &stamp, sizeof stamp);
			}
		} else if (part->cmsg_type == SO_TIMESTAMP) {
			struct timeval stamp;
			memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
			struct timespec moved = timespec(simulated(stamp.tv_sec * SECOND + stamp.tv_usec * 1000));
			stamp = (struct timeval){ moved.tv_sec, moved.tv_nsec / 1000 };
			memcpy(CMSG_DATA(part), &stamp, sizeof stamp);
		}
	}
}

ssize_t recvmsg(int socket, struct msghdr *message, int flags)
{
	ssize_t length = real_recvmsg(socket, message, flags);
	if (length >= 0)
		move_stamps(message, flags & MSG_ERRQUEUE);
	return length;
}

int recvmmsg(int socket, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
	int received = real_recvmmsg(socket, messages, count, flags, timeout);
	for (int i = 0; i < received; i++)
		move_stamps(&messages[i].msg_hdr, flags & MSG_ERRQUEUE);
	return received;
}
