/* SPDX-License-Identifier: Apache-2.0
   Loaded siprof_load(std::uint64_t address): rdi the address; rax the value, rdx whether it could be read.
   A fault of the one instruction that loads goes on at the other label (shim/core/fault_guard.cpp). */
	.section .text.sigsafe,"ax",@progbits
	.globl	siprof_load
	.hidden	siprof_load
	.type	siprof_load, @function
	.globl	siprof_load_at
	.hidden	siprof_load_at
	.globl	siprof_load_failed
	.hidden	siprof_load_failed
	.p2align 4
siprof_load:
	.cfi_startproc
	endbr64
	movl	$1, %edx
siprof_load_at:
	movq	(%rdi), %rax
	ret
siprof_load_failed:
	xorl	%eax, %eax
	xorl	%edx, %edx
	ret
	.cfi_endproc
	.size	siprof_load, .-siprof_load

/* Where a thread is sent that has to end by a fault and may make no system call. */
	.globl	siprof_fault_again
	.hidden	siprof_fault_again
	.type	siprof_fault_again, @function
siprof_fault_again:
	.cfi_startproc
	.cfi_undefined rip
	hlt
	.cfi_endproc
	.size	siprof_fault_again, .-siprof_fault_again
	.section .note.GNU-stack,"",@progbits
