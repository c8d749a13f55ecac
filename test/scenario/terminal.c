/*
 * Runs a command on a terminal of its own, and closes the terminal at the end of its standard input.
 *
 *   terminal [--shell] [--shell] COMMAND [ARG …]
 *
 * With --shell the command runs in the background of a shell: the leader of the session is another process,
 * which passes SIGHUP on to the command, and exits. With --shell twice, that shell runs in the background of
 * another shell. Exits with the command's exit status, or 128 + the number of the signal that ended it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t job;

static void pass_on(int number) {
  kill(-job, number);
  _exit(0);
}

static void become_leader(const char* name) {
  setsid();
  const int terminal = open(name, O_RDWR | O_CLOEXEC);
  if (terminal < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0) _exit(126);
}

/* This program becomes the parent of a job that outlives its shell. */
static void run_in_shells(int shells, char** command, int report) {
  for (; shells > 0; --shells) {
    job = fork();
    if (job > 0) {
      setpgid(job, job);
      if (shells == 1 && write(report, &job, sizeof job) != sizeof job) _exit(126);
      signal(SIGHUP, pass_on);
      for (;;) pause();
    }
    setpgid(0, 0);
  }
  execvp(command[0], command);
  _exit(127);
}

int main(int argc, char** argv) {
  int shells = 0;
  while (1 + shells < argc && strcmp(argv[1 + shells], "--shell") == 0) ++shells;
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  int report[2];
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || pipe2(report, O_CLOEXEC) != 0)
    return 126;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t child = fork();
  if (child == 0) {
    const char* const name = ptsname(master);
    close(master); /* closing the last descriptor closes the terminal */
    become_leader(name);
    run_in_shells(shells, argv + 1 + shells, report[1]);
  }
  if (shells > 0 && read(report[0], &child, sizeof child) != sizeof child) return 126;
  char bytes[256];
  while (read(STDIN_FILENO, bytes, sizeof bytes) > 0) continue;
  close(master);
  int status = 0;
  while (waitpid(child, &status, 0) != child) poll(NULL, 0, 5); /* until the process is a child of this one */
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
