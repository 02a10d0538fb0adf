! SPDX-License-Identifier: Apache-2.0
! Arrays, recursion, formatted output: what libgfortran does and what gfortran makes.
program numbers
  implicit none
  real(8), volatile :: total
  character(len=80) :: line
  real(8) :: values(64)
  integer :: n, i
  total = 0
  n = 0
  do
    n = mod(n + 1, 1000)
    do i = 1, 64
      values(i) = sqrt(real(n * i, 8)) + sin(real(i, 8))
    end do
    write (line, '(3F12.4, I8)') sum(values), maxval(values), norm2(values), n
    read (line, '(F12.4)') values(1)
    total = total + values(1) + depth(mod(n, 12)) + len_trim(line)
  end do
contains
  recursive function depth(left) result(answer)
    integer, intent(in) :: left
    real(8) :: answer
    real(8) :: work(left + 1)
    work = left
    answer = sum(work)
    if (left > 0) answer = answer + depth(left - 1)
  end function depth
end program numbers
