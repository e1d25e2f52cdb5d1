/*
 * http/wait.c
 *		libcurl's event interface on top of PostgreSQL's WaitEventSet.
 *
 * libcurl says through two callbacks which sockets it wants watched and when
 * it wants to be called next; curl_multi_socket_action() is told what happened.
 * The WaitEventSet is kept between requests: PostgreSQL can neither remove an
 * event from a set nor watch for nothing, while libcurl drops its interest in
 * a kept connection after every request.  So a socket stays in the set, idle,
 * until it is closed or becomes ready while nobody wants it; only then is the
 * set built anew.  A request on a kept connection costs no epoll_ctl() at all.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"

#include "compat.h"
#include "http/tls.h"
#include "http/wait.h"

/*
 * Descriptors that libcurl opens without asking: a socket pair to wake the
 * multi handle and one per running name look-up, usually a single one.
 */
#define INTERNAL_DESCRIPTORS 4

/* Events taken from the kernel at once; more simply wait for the next turn. */
#define EVENTS_PER_STEP 32

/* What is known of one descriptor; the table is indexed by the descriptor. */
typedef struct WatchedSocket
{
	uint32 wanted; /* WL_SOCKET_ bits libcurl asks for; 0: none now */
	uint32 armed;  /* WL_SOCKET_ bits in the set */
	int pos;	   /* position in the set; -1: not in it */
	bool opened;   /* by our callback, so it is counted, and its closing announced */
	ino_t inode;   /* of one that was opened: tells it from a later one */
	int port;	   /* its own; 0: not known yet */
	bool used;	   /* a request went out on it */
} WatchedSocket;

static WatchedSocket *sockets = NULL;
static int socket_slots = 0;

static WaitEventSet *wait_set = NULL;
static int wait_set_space = 0;
static int wait_set_used = 0;
static bool wait_set_stale = true; /* a member was closed, or is not wanted */
static bool sockets_changed = false;

static int64 timer_due = -1; /* aep_wait_now() time; -1: no timer */
static uint32 wait_event = 0;

int64
aep_wait_now(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) (INSTR_TIME_GET_MICROSEC(now) / 1000);
}

/*
 * PostgreSQL's handlers must never run on a thread of libcurl's, and a thread
 * inherits the mask: so all signals are blocked (PostgreSQL's own BlockSig
 * leaves some open) from the moment a name look-up begins, for which libcurl
 * starts one, until the call of libcurl returns.  Most calls look up nothing,
 * and need no system call for this.
 */
static sigset_t saved_signals;
static bool signals_blocked = false;

int
aep_wait_resolver_starts(void *resolver, void *reserved, void *arg)
{
	sigset_t all;

	if (signals_blocked)
		return 0;
	sigfillset(&all);
	if (pthread_sigmask(SIG_BLOCK, &all, &saved_signals) != 0)
		return 1; /* no look-up then */
	signals_blocked = true;
	return 0;
}

/* To be called after each call of libcurl that may look up a name. */
static void
restore_signals(void)
{
	if (!signals_blocked)
		return;
	pthread_sigmask(SIG_SETMASK, &saved_signals, NULL);
	signals_blocked = false;
}

/* Makes the table reach fd.  False: out of memory.  Called by libcurl: no throw. */
static bool
cover_socket(curl_socket_t fd)
{
	WatchedSocket *grown;
	int slots = Max(socket_slots, 64);

	if (fd < socket_slots)
		return true;
	while (slots <= fd)
		slots *= 2;
	grown = realloc(sockets, slots * sizeof(WatchedSocket));
	if (grown == NULL)
		return false;
	for (int i = socket_slots; i < slots; i++)
		grown[i] = (WatchedSocket){.pos = -1};
	sockets = grown;
	socket_slots = slots;
	return true;
}

/* The descriptor is gone or about to go: the set must not be used with it. */
static void
forget_socket(curl_socket_t fd)
{
	if (fd < 0 || fd >= socket_slots)
		return;
	if (sockets[fd].pos >= 0)
		wait_set_stale = true;
	if (sockets[fd].opened)
		ReleaseExternalFD();
	sockets[fd] = (WatchedSocket){.pos = -1};
}

/*
 * libcurl (7.88 at least) closes a socket that never got connected without
 * telling us; the descriptor may be another's by now.  One that was watched for
 * reading was connected, and needs no look.
 */
static void
notice_closed(curl_socket_t fd)
{
	const WatchedSocket *entry = &sockets[fd];
	struct stat status;

	if (entry->opened && (entry->armed & WL_SOCKET_READABLE) == 0 &&
		(fstat(fd, &status) != 0 || status.st_ino != entry->inode))
		forget_socket(fd);
}

curl_socket_t
aep_wait_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	curl_socket_t fd;
	struct stat status;

	if (!AcquireExternalFD())
	{
		errno = EMFILE;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0 || !cover_socket(fd) || fstat(fd, &status) != 0)
	{
		if (fd >= 0)
			close(fd);
		ReleaseExternalFD();
		return CURL_SOCKET_BAD;
	}
	forget_socket(fd);
	sockets[fd].opened = true;
	sockets[fd].inode = status.st_ino;
	return fd;
}

int
aep_wait_close_socket(void *arg, curl_socket_t fd)
{
	forget_socket(fd);
	return close(fd);
}

/* CURLMOPT_SOCKETFUNCTION */
static int
socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	WatchedSocket *entry;

	if (!cover_socket(fd))
		return -1;
	entry = &sockets[fd];
	if (entry->wanted == 0 || what == CURL_POLL_REMOVE)
		notice_closed(fd);
	sockets_changed = true;

	switch (what)
	{
		case CURL_POLL_IN:
			entry->wanted = WL_SOCKET_READABLE;
			break;
		case CURL_POLL_OUT:
			entry->wanted = WL_SOCKET_WRITEABLE;
			break;
		case CURL_POLL_INOUT:
			entry->wanted = WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE;
			break;
		default: /* CURL_POLL_REMOVE */
			entry->wanted = 0;
			/* nobody will tell us when libcurl closes a socket of its own */
			if (!entry->opened)
				forget_socket(fd);
			break;
	}
	return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int
timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
	timer_due = timeout_ms < 0 ? -1 : aep_wait_now() + timeout_ms;
	return 0;
}

void
aep_wait_prepare(void)
{
	static bool reserved = false;

	if (wait_event == 0)
		wait_event = aep_wait_event_new("AepHttp");
	if (reserved)
		return;
	for (int i = 0; i < INTERNAL_DESCRIPTORS; i++)
		ReserveExternalFD();
	reserved = true;
}

bool
aep_wait_attach(CURLM *multi)
{
	aep_wait_detach();
	return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
		   curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted) == CURLM_OK;
}

void
aep_wait_detach(void)
{
	for (int fd = 0; fd < socket_slots; fd++)
		forget_socket(fd);
	wait_set_stale = true;
	timer_due = -1;
}

/* The port that a socket has got; 0: none yet. */
static int
port_of(curl_socket_t fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *) &address, &size) != 0)
		return 0;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *) &address)->sin_port);
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *) &address)->sin6_port);
	return 0;
}

void
aep_wait_request_begins(int port, AepWaitConnection *connection)
{
	*connection = (AepWaitConnection){0};
	for (int fd = 0; fd < socket_slots; fd++)
	{
		WatchedSocket *entry = &sockets[fd];
		struct pollfd input = {.fd = fd, .events = POLLIN};

		if (entry->opened && entry->port == 0)
			entry->port = port_of(fd);
		if (!entry->opened || entry->port != port)
			continue;
		/* connections to different addresses may share a port: none of them stirs then */
		connection->known = true;
		connection->used |= entry->used;
		connection->idle |= entry->wanted == 0;
		connection->stirs |= entry->used && poll(&input, 1, 0) != 0;
		entry->used = true;
	}
}

bool
aep_wait_idle_stirs(void)
{
	for (int fd = 0; fd < socket_slots; fd++)
	{
		struct pollfd input = {.fd = fd, .events = POLLIN};

		if (sockets[fd].opened && sockets[fd].wanted == 0 && poll(&input, 1, 0) != 0)
			return true;
	}
	return false;
}

CURLMcode
aep_wait_add(CURLM *multi, CURL *easy)
{
	CURLMcode code = curl_multi_add_handle(multi, easy);

	restore_signals();
	return code;
}

CURLMcode
aep_wait_remove(CURLM *multi, CURL *easy)
{
	CURLMcode code = curl_multi_remove_handle(multi, easy);

	restore_signals();
	return code;
}

static CURLMcode
socket_action(CURLM *multi, curl_socket_t fd, int mask)
{
	int running;
	CURLMcode code;

	aep_tls_call_begins();
	code = curl_multi_socket_action(multi, fd, mask, &running);
	restore_signals();
	return code;
}

/* Starts the set anew, with room for the wanted sockets and as many again. */
static void
rebuild_wait_set(int wanted)
{
	if (wait_set != NULL)
	{
		WaitEventSet *old = wait_set;

		wait_set = NULL;
		FreeWaitEventSet(old);
	}
	for (int fd = 0; fd < socket_slots; fd++)
	{
		sockets[fd].pos = -1;
		sockets[fd].armed = 0;
	}
	wait_set_space = Max(16, 2 * wanted + 2);
	wait_set = aep_create_wait_event_set(wait_set_space);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	wait_set_used = 1;
	if (IsUnderPostmaster) /* not in single-user mode */
	{
		AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		wait_set_used++;
	}
}

/* Brings the set in line with what libcurl wants. */
static void
update_wait_set(void)
{
	int wanted = 0;
	int missing = 0;
	bool rebuild;

	if (wait_set != NULL && !wait_set_stale && !sockets_changed)
		return;

	for (int fd = 0; fd < socket_slots; fd++)
	{
		if (sockets[fd].wanted == 0)
			continue;
		wanted++;
		if (sockets[fd].pos < 0)
			missing++;
	}
	rebuild = wait_set == NULL || wait_set_stale || wait_set_used + missing > wait_set_space;
	wait_set_stale = true; /* until all is in place: an error leaves it half built */
	if (rebuild)
		rebuild_wait_set(wanted);
	for (int fd = 0; fd < socket_slots; fd++)
	{
		WatchedSocket *entry = &sockets[fd];

		if (entry->wanted == 0 || entry->wanted == entry->armed)
			continue;
		if (entry->pos >= 0)
			ModifyWaitEvent(wait_set, entry->pos, entry->wanted, NULL);
		else
		{
			entry->pos = AddWaitEventToSet(wait_set, entry->wanted, fd, NULL, NULL);
			wait_set_used++;
		}
		entry->armed = entry->wanted;
	}
	wait_set_stale = false;
	sockets_changed = false;
}

/* Tells libcurl of one ready socket. */
static CURLMcode
serve_socket(CURLM *multi, const WaitEvent *event)
{
	int mask = 0;

	if (event->fd >= socket_slots || sockets[event->fd].pos != event->pos)
		return CURLM_OK; /* closed by an event before this one */
	if (sockets[event->fd].wanted == 0)
	{
		wait_set_stale = true; /* an idle connection stirs: stop watching it */
		return CURLM_OK;
	}
	if (event->events & WL_SOCKET_READABLE)
		mask |= CURL_CSELECT_IN;
	if (event->events & WL_SOCKET_WRITEABLE)
		mask |= CURL_CSELECT_OUT;
	return socket_action(multi, event->fd, mask);
}

CURLMcode
aep_wait_step(CURLM *multi, long max_ms)
{
	WaitEvent events[EVENTS_PER_STEP];
	CURLMcode code = CURLM_OK;
	long timeout = max_ms;
	int nevents = 0;

	if (timer_due >= 0)
	{
		int64 left = Max(timer_due - aep_wait_now(), 0);

		if (timeout < 0 || left < timeout)
			timeout = (long) left;
	}

	/* A timer that is due now needs no trip to the kernel, a question does. */
	if (timeout != 0 || max_ms == 0)
	{
		update_wait_set();
		nevents = WaitEventSetWait(wait_set, timeout, events, EVENTS_PER_STEP, wait_event);
	}
	for (int i = 0; i < nevents; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();

	for (int i = 0; i < nevents && code == CURLM_OK; i++)
	{
		if (events[i].events & WL_SOCKET_MASK)
			code = serve_socket(multi, &events[i]);
	}
	if (code == CURLM_OK && timer_due >= 0 && timer_due <= aep_wait_now())
	{
		timer_due = -1; /* libcurl sets it again if it still needs one */
		code = socket_action(multi, CURL_SOCKET_TIMEOUT, 0);
	}
	return code;
}
