/* A SPANK plugin with the command line of pyxis and minimal containers.
 *
 * For tests of job scripts with `srun --container-image=... --container-mounts=...` on a machine without pyxis
 * and enroot. It registers pyxis' options, so that the real srun and sbatch parse them, and runs each task in a
 * mount namespace of its own whose root is the image. Arguments in plugstack.conf:
 *
 *   images=DIR   where an image given by name is found: DIR/NAME, with '/', ':', '#', '@' turned into '+'
 *   work=DIR     an existing directory to mount on, in the task's namespace
 *   log=FILE     one line is appended per task
 *
 * An image is a directory: the root of the container. Two files in it are ours:
 *
 *   .host-binds  paths of the host, one a line, bound read-only into the container
 *   .env         NAME=VALUE lines, the image's environment; as with pyxis it wins over the job's, but for the
 *                names in --container-env
 *
 * An image may also be a file, as a .sqsh is, whose first line is `image: DIRECTORY`.
 *
 * Unlike with pyxis each *task* has its own container, only root's jobs can have one, and --container-name,
 * --container-save and --segment are accepted and have no effect.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <slurm/spank.h>

SPANK_PLUGIN(pyxis, 1);

enum { IMAGE, MOUNTS, WORKDIR, NAME, SAVE, ENV, HOME, REMAP, ENTRY, ENTRYLOG, WRITABLE, SEGMENT, NOPT };
static char *text[NOPT]; /* options with an argument */
static int flag[NOPT] = { [HOME] = -1, [REMAP] = -1, [ENTRY] = -1, [ENTRYLOG] = -1, [WRITABLE] = -1 };
static const char *images = "/var/lib/images", *work = "/mnt", *logfile;

static int set_text(int val, const char *arg, int remote);
static int set_flag(int val, const char *arg, int remote);
#define T(name, arg, id) { name, arg, "[pyxis] see pyxis", 1, id, set_text }
#define F(name, id, on) { name, NULL, "[pyxis] see pyxis", 0, (id) * 2 + (on), set_flag }
static struct spank_option opts[] = {
	T("container-image", "[USER@][REGISTRY#]IMAGE[:TAG]|PATH", IMAGE),
	T("container-mounts", "SRC:DST[:FLAGS][,SRC:DST...]", MOUNTS),
	T("container-workdir", "PATH", WORKDIR),
	T("container-name", "NAME", NAME),
	T("container-save", "PATH", SAVE),
	T("container-env", "NAME[,NAME...]", ENV),
	T("segment", "N", SEGMENT), /* not pyxis': Slurm has it from 23.11 on */
	F("container-mount-home", HOME, 1), F("no-container-mount-home", HOME, 0),
	F("container-remap-root", REMAP, 1), F("no-container-remap-root", REMAP, 0),
	F("container-entrypoint", ENTRY, 1), F("no-container-entrypoint", ENTRY, 0),
	F("container-entrypoint-log", ENTRYLOG, 1),
	F("container-writable", WRITABLE, 1), F("container-readonly", WRITABLE, 0),
	SPANK_OPTIONS_TABLE_END
};

static int fail(const char *fmt, ...)
{
	char buf[2 * PATH_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	slurm_error("pyxis: %s", buf);
	return -1;
}

/* ---- srun and sbatch: the options ---- */

static int set_text(int val, const char *arg, int remote)
{
	if (!arg || !*arg)
		return fail("option %d: argument required", val);
	if (val == MOUNTS) { /* SRC[:DST[:FLAGS]], comma separated */
		char *copy = strdup(arg), *rest = copy, *one;
		while ((one = strsep(&rest, ",")))
			if (!*one || *one == ':' || !strchr("/.tu", *one)) {
				fail("--container-mounts: invalid format: %s", arg);
				free(copy);
				return -1;
			}
		free(copy);
	}
	if (text[val] && strcmp(text[val], arg)) /* Slurm calls twice with the same value */
		return fail("an option is specified multiple times: %s and %s", text[val], arg);
	text[val] = strdup(arg);
	return 0;
}

static int set_flag(int val, const char *arg, int remote)
{
	int id = val / 2, on = val % 2;
	if (flag[id] != -1 && flag[id] != on)
		return fail("an option is given together with its opposite");
	flag[id] = on;
	return 0;
}

int slurm_spank_init(spank_t sp, int ac, char **av)
{
	for (int i = 0; i < ac; i++) {
		if (!strncmp(av[i], "images=", 7)) images = strdup(av[i] + 7);
		else if (!strncmp(av[i], "work=", 5)) work = strdup(av[i] + 5);
		else if (!strncmp(av[i], "log=", 4)) logfile = strdup(av[i] + 4);
		else return fail("plugstack.conf: unknown argument %s", av[i]);
	}
	spank_context_t c = spank_context();
	if (c != S_CTX_LOCAL && c != S_CTX_REMOTE && c != S_CTX_ALLOCATOR)
		return 0;
	for (struct spank_option *o = opts; o->name; o++)
		if (spank_option_register(sp, o) != ESPANK_SUCCESS)
			return fail("cannot register --%s", o->name);
	return 0;
}

int slurm_spank_init_post_opt(spank_t sp, int ac, char **av)
{
	if (!text[IMAGE] && !text[NAME] && text[MOUNTS])
		fail("ignoring --container-mounts because neither --container-image nor --container-name is set");
	return 0;
}

/* ---- slurmstepd: in the task's own process, as the job's user ---- */

static void mkdirs(char *path) /* mkdir -p */
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') { *p = 0; mkdir(path, 0755); *p = '/'; }
	mkdir(path, 0755);
}

/* bind src, a path of the host, at root/dst; the mount point is made if it is not there */
static int bind_at(const char *src, const char *root, const char *dst, int ro)
{
	char to[PATH_MAX];
	struct stat st;
	if (stat(src, &st))
		return fail("mount: %s: %s", src, strerror(errno));
	snprintf(to, sizeof to, "%s/%s", root, dst);
	if (S_ISDIR(st.st_mode)) {
		mkdirs(to);
	} else {
		char *slash = strrchr(to, '/');
		*slash = 0; mkdirs(to); *slash = '/';
		int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd >= 0) close(fd);
	}
	if (mount(src, to, NULL, MS_BIND | MS_REC, NULL))
		return fail("mount: %s at %s: %s", src, dst, strerror(errno));
	if (ro && mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return fail("mount: %s read-only: %s", dst, strerror(errno));
	return 0;
}

/* the directory of the requested image, "" if no image was requested */
static void find_image(char *out, size_t n)
{
	struct stat st;
	const char *im = text[IMAGE];
	char line[PATH_MAX];
	if (*im == '/' || *im == '.') {
		snprintf(out, n, "%s", im);
	} else {
		int at = snprintf(out, n, "%s/", images);
		for (; *im && at < (int)n - 1; im++)
			out[at++] = strchr("/:#@", *im) ? '+' : *im;
		out[at] = 0;
	}
	if (!stat(out, &st) && S_ISREG(st.st_mode)) {
		FILE *f = fopen(out, "re");
		*out = 0;
		if (f && fgets(line, sizeof line, f) && !strncmp(line, "image: ", 7)) {
			line[strcspn(line, "\n")] = 0;
			snprintf(out, n, "%s", line + 7);
		}
		if (f) fclose(f);
	}
	if (stat(out, &st) || !S_ISDIR(st.st_mode))
		*out = 0;
}

static int is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, name, n) && (p[n] == ',' || !p[n]))
			return 1;
	return 0;
}

static FILE *open_below(const char *root, const char *name)
{
	char path[2 * PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", root, name);
	return fopen(path, "re");
}

static void set_environment(spank_t sp, const char *root)
{
	char line[PATH_MAX];
	FILE *f = open_below(root, ".env");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		char *value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = 0;
		spank_setenv(sp, line, value, !is_listed(text[ENV], line));
	}
	if (f) fclose(f);
}

/* an overlay of the image and a tmpfs: changes are lost at the end, as in an unnamed pyxis container */
static int mount_root(const char *image, char *root, size_t n)
{
	char opt[3 * PATH_MAX];
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fail("unshare: %s", strerror(errno));
	if (mount("tmpfs", work, "tmpfs", 0, "mode=755") || chdir(work))
		return fail("tmpfs on %s: %s", work, strerror(errno));
	mkdir("upper", 0755); mkdir("scratch", 0755); mkdir("root", 0755);
	snprintf(root, n, "%s/root", work);
	snprintf(opt, sizeof opt, "lowerdir=%s,upperdir=%s/upper,workdir=%s/scratch", image, work, work);
	if (mount("overlay", root, "overlay", 0, opt))
		return fail("overlay on %s: %s", image, strerror(errno));
	return 0;
}

static int mount_host(const char *root)
{
	/* what enroot and pyxis mount by themselves */
	static const char *const always[] = { "/proc", "/sys", "/dev", "/tmp", "/etc/hosts", "/etc/resolv.conf",
	                                      "/etc/nsswitch.conf", NULL };
	char line[PATH_MAX];
	FILE *f = open_below(root, ".host-binds");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (*line == '/' && bind_at(line, root, line, 1)) return -1;
	}
	if (f) fclose(f);
	for (int i = 0; always[i]; i++)
		if (!access(always[i], F_OK) && bind_at(always[i], root, always[i], 0)) return -1;
	const char *home = getenv("HOME") ? getenv("HOME") : "/root";
	return flag[HOME] == 1 ? bind_at(home, root, home, 0) : 0;
}

static int mount_asked(const char *root)
{
	char to[2 * PATH_MAX], *rest = text[MOUNTS], *one;
	while (rest && (one = strsep(&rest, ","))) {
		char *src = strsep(&one, ":"), *dst = one ? strsep(&one, ":") : src;
		int ro = one && !strncmp(one, "ro", 2) && strchr("+", one[2]);
		if (strcmp(src, "tmpfs")) {
			if (bind_at(src, root, dst, ro)) return -1;
			continue;
		}
		snprintf(to, sizeof to, "%s/%s", root, dst);
		mkdirs(to);
		if (mount("tmpfs", to, "tmpfs", 0, NULL))
			return fail("tmpfs at %s: %s", dst, strerror(errno));
	}
	return 0;
}

static int enter_container(spank_t sp)
{
	char image[PATH_MAX], root[PATH_MAX];
	find_image(image, sizeof image);
	if (!*image)
		return fail("failed to import docker image: %s", text[IMAGE]);
	set_environment(sp, image);
	if (mount_root(image, root, sizeof root) || mount_host(root) || mount_asked(root))
		return -1;
	if (flag[WRITABLE] == 0)
		mount(NULL, root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
	if (chdir(root) || mount(root, "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		return fail("chroot: %s", strerror(errno));
	/* not the job's directory: a container starts in its image's own working directory */
	if (text[WORKDIR] && chdir(text[WORKDIR]))
		return fail("couldn't chdir to container workdir %s: %s", text[WORKDIR], strerror(errno));
	return 0;
}

/* not task_init_privileged: between the two slurmstepd does chdir() to the job's directory */
int slurm_spank_task_init(spank_t sp, int ac, char **av)
{
	if (!text[IMAGE])
		return 0;
	FILE *f = logfile ? fopen(logfile, "ae") : NULL;
	if (f) {
		uint32_t job = 0, step = 0;
		char host[64] = "";
		spank_get_item(sp, S_JOB_ID, &job);
		spank_get_item(sp, S_JOB_STEPID, &step);
		gethostname(host, sizeof host);
		fprintf(f, "%s %u.%u image=%s mounts=%s workdir=%s home=%d entrypoint=%d\n", host, job, step,
		        text[IMAGE], text[MOUNTS] ? text[MOUNTS] : "", text[WORKDIR] ? text[WORKDIR] : "",
		        flag[HOME] == 1, flag[ENTRY] == 1);
		fclose(f);
	}
	return enter_container(sp);
}
