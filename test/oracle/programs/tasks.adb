--  SPDX-License-Identifier: Apache-2.0
--  Nested procedures, exceptions, strings of run-time size: what gnat makes.
with Ada.Strings.Unbounded; use Ada.Strings.Unbounded;

procedure Tasks is
   Total : Long_Integer := 0;
   pragma Volatile (Total);

   function Depth (Left : Natural) return Natural is
      Text : constant String (1 .. Left + 1) := (others => 'x');
   begin
      if Left = 0 then
         raise Constraint_Error with "deep enough";
      end if;
      return Depth (Left - 1) + Text'Length;
   exception
      when Program_Error =>
         return 1;
   end Depth;

   procedure Round (Number : Natural) is
      Name : Unbounded_String := To_Unbounded_String (Natural'Image (Number));

      procedure Nested is
      begin
         Append (Name, Natural'Image (Number * 3));
         Total := Total + Long_Integer (Length (Name) + Depth (Number mod 9));
      end Nested;
   begin
      Nested;
   exception
      when Constraint_Error =>
         Total := Total + 1;
   end Round;
begin
   loop
      for Number in 1 .. 1000 loop
         Round (Number);
      end loop;
   end loop;
end Tasks;
