/* SPDX-License-Identifier: Apache-2.0
   __sigsetjmp returns twice, so its wrapper may not have a frame: it notes the app's
   mask and jumps to libc's with the caller's stack and registers as they were. So do
   all system calls by number but those that wrap_sandbox.cpp wants to see. And throws
   are unwound from inside the C++ runtime's functions: wrap_errors.cpp notes them before. */
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
	cmpq	$13, %rdi		/* rt_sigaction */
	je	1f
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

	.globl	__cxa_throw
	.type	__cxa_throw, @function
__cxa_throw:
	.cfi_startproc
	endbr64
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	movq	%rdi, %rdx		/* the object */
	movq	24(%rsp), %rdi		/* where it returned to, if it did */
	call	siprof_before_throw
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	__cxa_throw, .-__cxa_throw

	.globl	__cxa_rethrow
	.type	__cxa_rethrow, @function
__cxa_rethrow:
	.cfi_startproc
	endbr64
	movq	(%rsp), %rdi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	siprof_before_rethrow
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	__cxa_rethrow, .-__cxa_rethrow

	.globl	_ZSt9terminatev
	.type	_ZSt9terminatev, @function
_ZSt9terminatev:
	.cfi_startproc
	endbr64
	movq	(%rsp), %rdi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	siprof_before_terminate
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	_ZSt9terminatev, .-_ZSt9terminatev
	.section .note.GNU-stack,"",@progbits
