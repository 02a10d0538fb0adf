/* SPDX-License-Identifier: Apache-2.0
   long siprof_clone(unsigned long flags, void* stack_top, int (*run)(void*), void* argument)
   rdi flags, rsi stack top, rdx run, rcx argument. See shim/base/arch.h. */
	.text
	.globl	siprof_clone
	.hidden	siprof_clone
	.type	siprof_clone, @function
	.section .text.sigsafe,"ax",@progbits
siprof_clone:
	.cfi_startproc
	endbr64
	andq	$-16, %rsi
	subq	$16, %rsi
	movq	%rdx, 0(%rsi)		/* the child pops these */
	movq	%rcx, 8(%rsi)
	xorl	%edx, %edx		/* parent_tid */
	xorl	%r10d, %r10d		/* child_tid */
	xorl	%r8d, %r8d		/* tls: shared */
	movl	$56, %eax		/* clone */
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	.cfi_undefined rip
	xorl	%ebp, %ebp
	popq	%rax
	popq	%rdi
	call	*%rax
	movl	%eax, %edi
	movl	$231, %eax		/* exit_group */
	syscall
	hlt
	.cfi_endproc
	.size	siprof_clone, .-siprof_clone
	.section .note.GNU-stack,"",@progbits
