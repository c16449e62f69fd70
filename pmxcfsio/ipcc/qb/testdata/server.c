/*
 * A server on the real libqb that does what the number of a request says:
 *
 *   1 echo             2 payload is a number: answer with that many bytes
 *   3 exit at once     4 payload is a number: answer with that error
 *   5 a short header   6 another request's number
 *   7 a size too large 8 a size too small
 *   9 garbage         10 payload is a number: wait so many ms, then echo
 *  11 never answer    12 close the connection
 *  13 echo, and hold requests back for the next 50 ms
 *
 * Usage: server NAME [REFUSAL]. Prints "ready"; ends when its input ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <qb/qbdefs.h>
#include <qb/qbipcs.h>
#include <qb/qbloop.h>
#include <qb/qbutil.h>

static qb_loop_t *loop;
static qb_ipcs_service_t *service;
static int32_t refusal;
static char numbers[4 << 20];

static int32_t on_accept(qb_ipcs_connection_t *c, uid_t uid, gid_t gid) { return refusal; }
static void on_created(qb_ipcs_connection_t *c) {}
static int32_t on_closed(qb_ipcs_connection_t *c) { return 0; }
static void on_destroyed(qb_ipcs_connection_t *c) {}

static void let_go(void *data) { qb_ipcs_request_rate_limit(service, QB_IPCS_RATE_NORMAL); }

static void answer(qb_ipcs_connection_t *c, int32_t id, int32_t size, int32_t error, const void *data, size_t len)
{
	struct qb_ipc_response_header header;
	struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)data, len}};

	memset(&header, 0, sizeof(header));
	header.id = id;
	header.size = size;
	header.error = error;
	if (qb_ipcs_response_sendv(c, parts, 2) < 0) {
		qb_ipcs_disconnect(c);
	}
}

static int32_t on_message(qb_ipcs_connection_t *c, void *data, size_t size)
{
	struct qb_ipc_request_header *request = data;
	char *payload = (char *)data + sizeof(*request);
	size_t len = request->size - sizeof(*request);
	int32_t id = request->id;
	int32_t whole = sizeof(struct qb_ipc_response_header) + len;
	int32_t number = 0;
	qb_loop_timer_handle timer;

	if (len >= sizeof(number)) {
		memcpy(&number, payload, sizeof(number));
	}
	switch (id) {
	case 2:
		answer(c, id, sizeof(struct qb_ipc_response_header) + number, 0, numbers, number);
		break;
	case 3:
		_exit(0);
	case 4:
		answer(c, id, sizeof(struct qb_ipc_response_header), number, NULL, 0);
		break;
	case 5:
		qb_ipcs_response_send(c, "short", 5);
		break;
	case 6:
		answer(c, id + 1, whole, 0, payload, len);
		break;
	case 7:
		answer(c, id, whole + 1, 0, payload, len);
		break;
	case 8:
		answer(c, id, whole - 1, 0, payload, len);
		break;
	case 9:
		memset(numbers, 0xEE, 100);
		qb_ipcs_response_send(c, numbers, 100);
		break;
	case 10:
		usleep(number * 1000);
		answer(c, id, whole, 0, payload, len);
		break;
	case 11:
		break;
	case 12:
		qb_ipcs_disconnect(c);
		break;
	case 13:
		answer(c, id, whole, 0, payload, len);
		qb_ipcs_request_rate_limit(service, QB_IPCS_RATE_OFF);
		qb_loop_timer_add(loop, QB_LOOP_HIGH, 50 * QB_TIME_NS_IN_MSEC, NULL, let_go, &timer);
		break;
	default:
		answer(c, id, whole, 0, payload, len);
	}
	return 0;
}

static int32_t job_add(enum qb_loop_priority p, void *data, qb_loop_job_dispatch_fn fn)
{
	return qb_loop_job_add(loop, p, data, fn);
}

static int32_t dispatch_add(enum qb_loop_priority p, int32_t fd, int32_t events, void *data, qb_ipcs_dispatch_fn_t fn)
{
	return qb_loop_poll_add(loop, p, fd, events, data, fn);
}

static int32_t dispatch_mod(enum qb_loop_priority p, int32_t fd, int32_t events, void *data, qb_ipcs_dispatch_fn_t fn)
{
	return qb_loop_poll_mod(loop, p, fd, events, data, fn);
}

static int32_t dispatch_del(int32_t fd) { return qb_loop_poll_del(loop, fd); }

static int32_t on_input(int32_t fd, int32_t events, void *data)
{
	char c;

	if (read(fd, &c, 1) <= 0) {
		qb_loop_stop(loop);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct qb_ipcs_service_handlers handlers = {
		.connection_accept = on_accept,
		.connection_created = on_created,
		.msg_process = on_message,
		.connection_closed = on_closed,
		.connection_destroyed = on_destroyed,
	};
	struct qb_ipcs_poll_handlers poll = {
		.job_add = job_add,
		.dispatch_add = dispatch_add,
		.dispatch_mod = dispatch_mod,
		.dispatch_del = dispatch_del,
	};
	size_t i;

	for (i = 0; i < sizeof(numbers); i++) {
		numbers[i] = (char)(i * 7 + (i >> 8));
	}
	refusal = argc > 2 ? atoi(argv[2]) : 0;
	loop = qb_loop_create();
	service = qb_ipcs_create(argv[1], 1, QB_IPC_SHM, &handlers);
	qb_ipcs_poll_handlers_set(service, &poll);
	if (qb_ipcs_run(service) != 0) {
		return 1;
	}
	qb_loop_poll_add(loop, QB_LOOP_LOW, 0, POLLIN, NULL, on_input);
	puts("ready");
	fflush(stdout);
	qb_loop_run(loop);
	qb_ipcs_destroy(service);
	qb_loop_destroy(loop);
	return 0;
}
