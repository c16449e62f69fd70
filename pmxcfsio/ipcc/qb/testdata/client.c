/*
 * A client on the real libqb. Each line of its input is a request, "ID SIZE",
 * with SIZE bytes that depend on the size; each line of its output is what
 * came of it: "echo" (the same bytes), "data SIZE", "error NUMBER" (of the
 * answer), "lies" (a header that is not true) or "failed NUMBER" (of libqb,
 * after which it connects anew). With a negative ID, it echoes that many times
 * and answers "repeated".
 *
 * Usage: client NAME MAX TIMEOUT_MS. Prints "connected" or "refused NUMBER"
 * first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <qb/qbdefs.h>
#include <qb/qbipcc.h>

static char payload[4 << 20];
static char buffer[4 << 20];

static qb_ipcc_connection_t *connection(const char *name, size_t max)
{
	qb_ipcc_connection_t *c = qb_ipcc_connect(name, max);

	if (c) {
		printf("connected\n");
	} else {
		printf("refused %d\n", errno);
	}
	fflush(stdout);
	return c;
}

int main(int argc, char **argv)
{
	size_t max = atoi(argv[2]);
	int timeout = atoi(argv[3]);
	qb_ipcc_connection_t *c = connection(argv[1], max);
	int id, size, i;

	while (c && scanf("%d %d", &id, &size) == 2) {
		struct qb_ipc_request_header header;
		struct qb_ipc_response_header *answer = (void *)buffer;
		struct iovec parts[2] = {{&header, sizeof(header)}, {payload, size}};
		ssize_t got;

		memset(&header, 0, sizeof(header));
		header.id = id;
		header.size = sizeof(header) + size;
		for (i = 0; i < size; i++) {
			payload[i] = (char)(i * 31 + size);
		}
		if (id < 0) {
			int times = -id;

			header.id = 1;
			while (times-- && qb_ipcc_sendv_recv(c, parts, 2, buffer, sizeof(buffer), timeout) > 0) {
			}
			puts(times < 0 ? "repeated" : "failed");
			fflush(stdout);
			continue;
		}
		got = qb_ipcc_sendv_recv(c, parts, 2, buffer, sizeof(buffer), timeout);
		if (got < 0) {
			printf("failed %d\n", (int)-got);
			qb_ipcc_disconnect(c);
			c = connection(argv[1], max);
			continue;
		}
		if (got < (ssize_t)sizeof(*answer) || answer->id != id || answer->size != got) {
			printf("lies\n");
		} else if (answer->error) {
			printf("error %d\n", answer->error);
		} else if (got - sizeof(*answer) == (size_t)size && !memcmp(buffer + sizeof(*answer), payload, size)) {
			printf("echo\n");
		} else {
			printf("data %zd\n", got - sizeof(*answer));
		}
		fflush(stdout);
	}
	if (c) {
		qb_ipcc_disconnect(c);
	}
	return 0;
}
