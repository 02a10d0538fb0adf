/* SPDX-License-Identifier: Apache-2.0
   __sigsetjmp returns twice, so its wrapper may not have a frame: it notes the app's
   mask and jumps to libc's with the caller's stack and registers as they were. So do
   all system calls by number but those that wrap_sandbox.cpp wants to see. */
	.text
	.globl	__sigsetjmp
	.type	__sigsetjmp, @function
__sigsetjmp:
	.cfi_startproc
	endbr64
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	siprof_before_setjmp
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	__sigsetjmp, .-__sigsetjmp

	.globl	syscall
	.type	syscall, @function
syscall:
	.cfi_startproc
	endbr64
	cmpq	$157, %rdi		/* prctl */
	je	1f
	cmpq	$317, %rdi		/* seccomp */
	je	1f
	movq	siprof_next_syscall(%rip), %rax
	testq	%rax, %rax
	jz	1f
	jmp	*%rax
1:	jmp	siprof_watched_syscall
	.cfi_endproc
	.size	syscall, .-syscall
	.section .note.GNU-stack,"",@progbits
