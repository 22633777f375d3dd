/* How much processor time the process's groups leave it: quotas of cgroups, v1 and v2, as containers have them.
 *
 * A group has its quota and those of all groups around it. In a container the file system of groups often starts at the
 * container's own group, which the process may know by the name that it has outside. */

/* Whether words that commas separate have "cpu". */
SCC_RARE static int scc_lists_cpu(const char *words) {
  for (const char *at = words; (at = strstr(at, "cpu")); at += 3)
    if ((at == words || at[-1] == ',') && (!at[3] || at[3] == ',')) return 1;
  return 0;
}

/* A path of mountinfo as it is: blanks, and backslashes, are three octal digits there. */
SCC_RARE static void scc_unescape(char *text) {
  char *out = text;
  for (; *text; ++out) {
    unsigned code;
    int escaped = *text == '\\' && sscanf(text + 1, "%3o", &code) == 1;
    *out = escaped ? (char)code : *text;
    text += escaped ? 4 : 1;
  }
  *out = 0;
}

/* Finds the process's group in a hierarchy: v1's of the controller "cpu", or the only one of v2; "" if it has none. */
static void scc_find_group(int version, char *group) {
  char line[SCC_LINE];
  *group = 0;
  FILE *file = fopen(SCC_ROOT "/proc/self/cgroup", "re"); /* "4:cpu,cpuacct:/name" or "0::/name" */
  while (file && !*group && fgets(line, sizeof line, file)) {
    char *controllers = strchr(line, ':'), *name = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!name) continue;
    *name++ = 0;
    name[strcspn(name, "\n")] = 0;
    if (version == 2 ? !strcmp(line, "0:") : scc_lists_cpu(controllers + 1)) strcpy(group, name); /* room for a line */
  }
  if (file) fclose(file);
}

/* Whole CPUs that one group has a quota for, at least 1; `most` if it has none. A part of one is left out: three threads
 * with time for two and a half all stop before every period's end. */
static int scc_quota_of(const char *folder, int version, int most) {
  char path[SCC_LINE + 40];
  long period, second;
  snprintf(path, sizeof path, version == 2 ? "%s/cpu.max" : "%s/cpu.cfs_quota_us", folder);
  long quota = scc_read_numbers(path, &period); /* "max 100000", and -1 in v1: none */
  if (version == 1) {
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    period = scc_read_numbers(path, &second);
  }
  if (quota <= 0 || period <= 0 || quota / period >= most) return most;
  return quota < period ? 1 : (int)(quota / period);
}

/* The same for the process's group and all around it. The mount point shows the group `root` and what is in it. */
SCC_RARE static int scc_quota_below(const char *mount, const char *root, int version, int most) {
  char group[SCC_LINE], folder[SCC_LINE + sizeof SCC_ROOT];
  scc_find_group(version, group);
  if (!*group) return most;
  size_t inside = root[1] ? strlen(root) : 0; /* "/" is 0 */
  int is_inside = !strncmp(group, root, inside) && (group[inside] == '/' || !group[inside]);
  int size = snprintf(folder, sizeof folder, SCC_ROOT "%s%s", mount, is_inside ? group + inside : "");
  if (size < 0 || (size_t)size >= sizeof folder) size = snprintf(folder, sizeof folder, SCC_ROOT "%s", mount);
  for (char *end = folder + size; end; end = strrchr(folder, '/')) {
    *end = 0;
    most = scc_quota_of(folder, version, most);
    if (strlen(folder) < sizeof SCC_ROOT + strlen(mount)) break;
  }
  return most;
}

/* Whole CPUs that the process has time for, at least 1; `most` if it has time for more. */
SCC_RARE static int scc_quota(int most) {
  char line[SCC_LINE], root[SCC_LINE], mount[SCC_LINE], type[16], options[256];
  FILE *file = fopen(SCC_ROOT "/proc/self/mountinfo", "re"); /* "36 35 98:0 /root /mount options - type source options" */
  while (file && fgets(line, sizeof line, file)) {
    const char *rest = strstr(line, " - cgroup");
    if (!rest || sscanf(line, "%*s %*s %*s %s %s", root, mount) != 2) continue; /* room for a line each */
    if (sscanf(rest, " - %15s %*s %255s", type, options) != 2) continue;
    int version = !strcmp(type, "cgroup2") ? 2 : scc_lists_cpu(options) ? 1 : 0;
    if (!version) continue;
    scc_unescape(root);
    scc_unescape(mount);
    most = scc_quota_below(mount, root, version, most);
  }
  if (file) fclose(file);
  return most;
}
