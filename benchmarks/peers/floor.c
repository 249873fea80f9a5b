/* The floor: the same bytes to the same sockets, and nothing else.

   frames holds events * rooms frames of length bytes; member i is in room room_of[i].
   Returns the number of frames that were written whole, in order. */

#include <errno.h>
#include <poll.h>
#include <unistd.h>

long burst(const int *sockets, const int *room_of, int members, const char *frames, long length,
           int rooms, int events)
{
    long written = 0;
    for (int event = 0; event < events; event++) {
        for (int i = 0; i < members; i++) {
            const char *frame = frames + ((long)event * rooms + room_of[i]) * length;
            long done = 0;
            while (done < length) {
                ssize_t taken = write(sockets[i], frame + done, length - done);
                if (taken >= 0) {
                    done += taken;
                } else if (errno == EAGAIN) {
                    struct pollfd space = {.fd = sockets[i], .events = POLLOUT};
                    if (poll(&space, 1, 5000) != 1)
                        return written;
                } else if (errno != EINTR) {
                    return written;
                }
            }
            written++;
        }
    }
    return written;
}
