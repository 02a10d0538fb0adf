/* SPDX-License-Identifier: Apache-2.0
   Where a signal handler returns to. Unwinders know the frame by these two
   instructions, so they must be exactly these. */
	.section .text.sigsafe,"ax",@progbits
	.globl	siprof_restore_rt
	.hidden	siprof_restore_rt
	.type	siprof_restore_rt, @function
	nop	/* unwinders look up the return address minus one */
siprof_restore_rt:
	movq	$15, %rax	/* rt_sigreturn */
	syscall
	.size	siprof_restore_rt, .-siprof_restore_rt
	.section .note.GNU-stack,"",@progbits
